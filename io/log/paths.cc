// Paths: names made and read in exactly one way.
#include "paths.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "shm/name.h"

namespace loopline::io {
namespace {

constexpr std::string_view segment_suffix = ".segment";
constexpr std::string_view spare_suffix = ".spare";

std::string from_environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// The number in front of the next `@`, which is taken off `rest`.
std::optional<uint64_t> next_number(std::string_view& rest, int base = 10) {
  const size_t length = std::min(rest.find('@'), rest.size());
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + length, value, base);
  if (error != std::errc() || end != rest.data() + length) return {};
  rest.remove_prefix(std::min(length + 1, rest.size()));
  return value;
}

bool take_suffix(std::string_view& file, std::string_view suffix) {
  if (!file.ends_with(suffix)) return false;
  file.remove_suffix(suffix.size());
  return true;
}

std::string hex_text(uint64_t value) {
  char text[17];
  const auto [end, error] = std::to_chars(text, text + sizeof text, value, 16);
  return error == std::errc() ? std::string(text, end) : "";
}

}  // namespace

std::string data_folder_of(const shm::InstancePaths& instance) {
  if (instance.folder == "/run/loopline") return "/var/lib/loopline";
  const std::string runtime = from_environment("XDG_RUNTIME_DIR");
  if (runtime.empty() || instance.folder != runtime + "/loopline") return instance.folder + "/data";
  const std::string data = from_environment("XDG_DATA_HOME");
  if (!data.empty()) return data + "/loopline";
  const std::string home = from_environment("HOME");
  return home.empty() ? instance.folder + "/data" : home + "/.local/share/loopline";
}

std::string stations_folder(const std::string& data) { return data + "/stations"; }
std::string station_folder(const std::string& data, const shm::StationName& name) {
  return stations_folder(data) + "/" + name.factory + "@" + name.station;
}
std::string station_file(const std::string& data, const shm::StationName& name) {
  return station_folder(data, name) + "/station.conf";
}
std::string log_folder(const std::string& data, const shm::StationName& name, uint32_t partition) {
  return station_folder(data, name) + "/" + std::to_string(partition);
}
std::string spares_folder(const std::string& data) { return data + "/spares"; }
std::string manifest_path(const std::string& log) { return log + "/manifest"; }
std::string lock_path(const std::string& log) { return log + "/lock"; }
std::string purge_path(const std::string& log) { return log + "/purged"; }

std::string segment_file_name(const SegmentName& name) {
  std::string text = std::to_string(name.number);
  if (name.start) {
    text += "@" + std::to_string(name.start->position) + "@" + std::to_string(name.start->sequence);
  }
  return text + std::string(segment_suffix);
}

std::optional<SegmentName> parse_segment_name(std::string_view file) {
  std::string_view rest = file;
  if (!take_suffix(rest, segment_suffix)) return {};
  SegmentName name;
  const auto number = next_number(rest);
  if (!number || *number == 0) return {};
  name.number = *number;
  if (!rest.empty()) {
    const auto position = next_number(rest);
    const auto sequence = next_number(rest);
    if (!position || !sequence || !rest.empty()) return {};
    name.start = {*position, *sequence};
  }
  if (segment_file_name(name) != file) return {};
  return name;
}

std::optional<shm::StationName> parse_station_folder(std::string_view folder) {
  const size_t at = folder.find('@');
  if (at == std::string_view::npos) return {};
  shm::StationName name{std::string(folder.substr(0, at)), std::string(folder.substr(at + 1))};
  if (!shm::is_name(name.factory) || !shm::is_name(name.station)) return {};
  return name;
}

std::string spare_file_name(uint64_t segment_bytes, uint64_t token) {
  return std::to_string(segment_bytes) + "@" + hex_text(token) + std::string(spare_suffix);
}

std::optional<uint64_t> parse_spare_name(std::string_view file) {
  std::string_view rest = file;
  if (!take_suffix(rest, spare_suffix)) return {};
  const auto bytes = next_number(rest);
  const auto token = next_number(rest, 16);
  if (!bytes || !token || !rest.empty() || spare_file_name(*bytes, *token) != file) return {};
  return bytes;
}

}  // namespace loopline::io
