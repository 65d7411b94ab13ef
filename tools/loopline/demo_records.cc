// Demo records: finds the files, reads them whole, cuts them at blank lines.
#include "demo_records.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "shm/base/units.h"

namespace loopline::cli {
namespace {

constexpr const char* apt_lists = "/var/lib/apt/lists";
constexpr const char* dpkg_status = "/var/lib/dpkg/status";
constexpr uintmax_t source_bytes_max = 64u << 20;  // of the apt lists; a user's file is read whole

Status append_file(const std::string& path, std::string& text) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fault_from_errno(errno == 0 ? EIO : errno, "cannot read " + path);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  if (file.bad()) return Fault(FaultCode::io_error, "cannot read " + path + " to its end");
  if (!text.empty()) text += "\n\n";
  text += bytes.view();
  return ok();
}

// The uncompressed package lists, as many as stay below the bound.
std::vector<std::string> find_apt_lists() {
  std::vector<std::string> paths;
  std::error_code error;
  uintmax_t total = 0;
  for (std::filesystem::directory_iterator at(apt_lists, error), end; !error && at != end;
       at.increment(error)) {
    std::error_code unknown;
    if (!at->path().filename().string().ends_with("_Packages")) continue;
    const uintmax_t size = at->file_size(unknown);
    if (unknown || size == 0 || total + size > source_bytes_max) continue;
    total += size;
    paths.push_back(at->path().string());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

void cut(std::string_view text, std::string_view separator, std::vector<std::string_view>& parts) {
  while (!text.empty()) {
    const size_t end = std::min(text.find(separator), text.size());
    if (end != 0) parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + separator.size(), text.size()));
    while (!text.empty() && text.front() == '\n') text.remove_prefix(1);
  }
}

}  // namespace

uint64_t DemoRecords::bytes() const {
  uint64_t sum = 0;
  for (const auto record : records) sum += record.size();
  return sum;
}

std::string_view package_of(std::string_view record) {
  constexpr std::string_view field = "Package: ";
  if (!record.starts_with(field)) return {};
  record.remove_prefix(field.size());
  return record.substr(0, std::min(record.find('\n'), size_t{255}));
}

Result<DemoRecords> load_demo_records(const std::string& input, uint64_t size_max) {
  DemoRecords made;
  std::vector<std::string> paths = input.empty() ? find_apt_lists() : std::vector{input};
  if (input.empty()) made.source = std::string("package lists of ") + apt_lists;
  if (paths.empty()) paths = {dpkg_status};
  if (paths.front() == input || paths.front() == dpkg_status) made.source = paths.front();
  std::string text;
  for (const std::string& path : paths) LL_TRY_STATUS(append_file(path, text));
  made.text = std::make_shared<const std::string>(std::move(text));
  const bool has_paragraphs = made.text->find("\n\n") != std::string::npos;
  cut(*made.text, has_paragraphs ? "\n\n" : "\n", made.records);
  if (made.records.empty()) {
    return Fault(FaultCode::invalid_argument,
                 made.source + " has no records; name another file with --input");
  }
  for (const auto record : made.records) {
    if (record.size() <= size_max) continue;
    return Fault(FaultCode::invalid_argument,
                 made.source + " has a record of " + format_count(record.size()) +
                     " bytes, more than the " + format_count(size_max) +
                     " a message of the demo may have; name another file with --input");
  }
  return made;
}

}  // namespace loopline::cli
