// StationConf: lines to values and back, and the file.
#include "station_conf.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <filesystem>

#include "paths.h"
#include "shm/base/units.h"
#include "shm/file.h"
#include "shm/owner.h"

namespace loopline::io {
namespace {

constexpr std::string_view file_head = "# A station of Loopline\n";

std::string hex_of(const LogId& id) {
  std::array<char, 33> text{};
  std::snprintf(text.data(), text.size(), "%016llx%016llx",
                static_cast<unsigned long long>(id.words[0]),
                static_cast<unsigned long long>(id.words[1]));
  return text.data();
}

std::optional<LogId> parse_id(std::string_view text) {
  if (text.size() != 32) return {};
  LogId id;
  for (size_t half = 0; half < 2; ++half) {
    const char* const begin = text.data() + half * 16;
    const auto [end, error] = std::from_chars(begin, begin + 16, id.words[half], 16);
    if (error != std::errc() || end != begin + 16) return {};
  }
  return id;
}

Result<uint64_t> parse_count(std::string_view text) {
  uint64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error == std::errc() && end == text.data() + text.size() && count != 0) return count;
  return Fault(FaultCode::invalid_argument, "\"" + std::string(text) + "\" is no count above 0");
}

// "off" is zero.
template <class Parse>
Result<uint64_t> unless_off(std::string_view text, Parse&& parse) {
  if (text == "off") return uint64_t{0};
  return parse(text);
}

Status set_number(uint64_t& field, Result<uint64_t> value) {
  if (!value) return value.fault();
  field = *value;
  return ok();
}

// One key of those that a factory does not have; false: it is none of them.
Result<bool> set_own_key(StationConf& conf, std::string_view key, std::string_view value) {
  if (key == "uuid") {
    const auto id = parse_id(value);
    if (!id) return Fault(FaultCode::invalid_argument, "uuid must be 32 hexadecimal digits");
    conf.id = *id;
  } else if (key == "storage") {
    if (value != "file") return Fault(FaultCode::invalid_argument, "storage must be file here");
  } else if (key == "segment") {
    LL_TRY_STATUS(set_number(conf.segment_bytes, parse_size(value)));
  } else if (key == "retention.age") {
    LL_TRY_STATUS(set_number(conf.retention.age_ns, unless_off(value, parse_duration)));
  } else if (key == "retention.messages") {
    LL_TRY_STATUS(set_number(conf.retention.messages, unless_off(value, parse_count)));
  } else if (key == "retention.bytes") {
    LL_TRY_STATUS(set_number(conf.retention.bytes, unless_off(value, parse_size)));
  } else if (key == "flush") {
    if (value == "group-commit") {
      conf.flush_interval_ns = 0;
    } else {
      LL_TRY_STATUS(set_number(conf.flush_interval_ns, parse_duration(value)));
    }
  } else {
    return false;
  }
  return true;
}

// What is wrong with a foreign line, fit for a terminal.
std::string shown(std::string text) {
  constexpr size_t shown_length_max = 300;
  if (text.size() > shown_length_max) text = text.substr(0, shown_length_max) + "...";
  for (char& letter : text) {
    if (letter < ' ' || letter > '~') letter = '?';
  }
  return text;
}

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

std::string off_or(uint64_t value, const std::string& text) { return value == 0 ? "off" : text; }

Status sync_and_name(int fd, const std::string& temporary, const std::string& path, bool is_new) {
  if (::fsync(fd) != 0) return fault_from_errno(errno, "cannot sync " + temporary);
  if (!is_new) {
    if (::rename(temporary.c_str(), path.c_str()) == 0) return ok();
    return fault_from_errno(errno, "cannot give a station its file " + path);
  }
  if (::link(temporary.c_str(), path.c_str()) == 0) return ok();
  if (errno == EEXIST) return Fault(FaultCode::already_exists, path + " is there already");
  return fault_from_errno(errno, "cannot give a station its file " + path);
}

Status sync_folder(const std::string& path) {
  const shm::File folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.fd() < 0) return fault_from_errno(errno, "cannot open folder " + path);
  if (::fsync(folder.fd()) == 0) return ok();
  return fault_from_errno(errno, "cannot sync folder " + path);
}

Status make_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (!error) return ok();
  return fault_from_errno(error.value(), "cannot make folder " + path);
}

}  // namespace

Result<StationConf> parse_station_conf(std::string_view text, const std::string& where) {
  StationConf conf;
  uint32_t number = 0;
  const std::string remedy = "; mend it there, or put it back from a backup";
  const auto wrong = [&](const std::string& why) {
    return Fault(FaultCode::corrupted,
                 where + ", line " + std::to_string(number) + ": " + why + remedy);
  };
  while (!text.empty()) {
    const size_t length = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(text.substr(0, length));
    text.remove_prefix(std::min(length + 1, text.size()));
    ++number;
    if (line.empty() || line.front() == '#') continue;
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos) return wrong("it has no \"=\"");
    const std::string_view key = trimmed(line.substr(0, equals));
    const std::string_view value = trimmed(line.substr(equals + 1));
    const auto own = set_own_key(conf, key, value);
    if (!own) return wrong(std::string(key) + ": " + shown(own.fault().message()));
    if (*own) continue;
    const Status set = shm::set_factory_key(conf.ring, key, value);
    if (!set) return wrong(set.fault().message());
  }
  if (conf.id == LogId{}) {
    return Fault(FaultCode::corrupted,
                 where + " does not say which log is its own: it has no uuid" + remedy);
  }
  const Status fits = check_station_conf(conf);
  if (!fits) return Fault(FaultCode::corrupted, where + ": " + fits.fault().message() + remedy);
  return conf;
}

Status check_station_conf(const StationConf& conf) {
  LL_TRY_STATUS(shm::check_factory(conf.ring));
  if (!is_segment_size(conf.segment_bytes)) {
    return Fault(FaultCode::invalid_argument, "segment must be " + format_size(segment_bytes_min) +
                                                  " to " + format_size(segment_bytes_max) +
                                                  ", in steps of " + format_size(block_size) +
                                                  ", not " + format_size(conf.segment_bytes));
  }
  const uint64_t capacity = conf.ring.ring.value_or(shm::RingOptions().capacity);
  const uint64_t largest =
      conf.ring.max_message.value_or(0) != 0 ? *conf.ring.max_message : shm::body_max_of(capacity);
  if (largest <= body_bytes_max(conf.segment_bytes)) return ok();
  return Fault(FaultCode::invalid_argument,
               "a message of " + format_size(largest) + " does not fit into a segment of " +
                   format_size(conf.segment_bytes) + ", which holds " +
                   format_size(body_bytes_max(conf.segment_bytes)) +
                   " at the most; take a larger segment, or a smaller max-message");
}

std::string text_of(const StationConf& conf) {
  const auto line = [](const std::string& key, const std::string& value) {
    return key + " = " + value + "\n";
  };
  const Retention& keep = conf.retention;
  std::string text(file_head);
  text += line("uuid", hex_of(conf.id));
  text += line("storage", "file");
  for (const auto& [key, value] : shm::lines_of(conf.ring)) text += line(key, value);
  text += line("segment", format_size(conf.segment_bytes));
  text += line("retention.age", off_or(keep.age_ns, format_duration(keep.age_ns)));
  text += line("retention.messages", off_or(keep.messages, std::to_string(keep.messages)));
  text += line("retention.bytes", off_or(keep.bytes, format_size(keep.bytes)));
  text += line("flush", conf.flush_interval_ns == 0 ? "group-commit"
                                                    : format_duration(conf.flush_interval_ns));
  return text;
}

Result<std::optional<StationConf>> read_station_conf(const std::string& data,
                                                     const shm::StationName& name) {
  const std::string path = station_file(data, name);
  auto file = shm::open_file("station", path, false);
  if (!file && file.fault().code() == FaultCode::not_found) return std::optional<StationConf>();
  if (!file) return file.fault();
  std::array<char, station_file_bytes_max + 1> bytes;
  const ssize_t got = ::pread(file->fd(), bytes.data(), bytes.size(), 0);
  if (got < 0) return fault_from_errno(errno, "cannot read station " + path);
  const std::string where = "station \"" + name.text() + "\" cannot be read: " + path;
  if (static_cast<size_t>(got) > station_file_bytes_max) {
    return Fault(FaultCode::corrupted, where + " is too large: no Loopline wrote it");
  }
  LL_TRY(conf, parse_station_conf({bytes.data(), static_cast<size_t>(got)}, where));
  return std::optional<StationConf>(std::move(conf));
}

Status write_station_conf(const std::string& data, const shm::StationName& name,
                          const StationConf& conf, bool is_new) {
  LL_TRY_STATUS(check_station_conf(conf));
  const std::string folder = station_folder(data, name);
  LL_TRY_STATUS(make_folder(folder));
  const std::string path = station_file(data, name);
  const std::string temporary = folder + "/.new-" + std::to_string(::getpid());
  const std::string text = text_of(conf);
  const shm::File file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0660));
  if (file.fd() < 0) return fault_from_errno(errno, "cannot write to folder " + folder);
  Status done = ok();
  const ssize_t put = ::write(file.fd(), text.data(), text.size());
  if (put != static_cast<ssize_t>(text.size())) {
    done = fault_from_errno(put < 0 ? errno : ENOSPC, "cannot write " + temporary);
  }
  if (done) done = sync_and_name(file.fd(), temporary, path, is_new);
  ::unlink(temporary.c_str());  // of a rename nothing is left
  if (!done) return done;
  LL_TRY_STATUS(sync_folder(folder));
  LL_TRY_STATUS(sync_folder(stations_folder(data)));
  return sync_folder(data);
}

Result<std::vector<shm::StationName>> stations_on_disk(const std::string& data) {
  std::vector<shm::StationName> stations;
  std::error_code error;
  std::filesystem::directory_iterator at(stations_folder(data), error);
  for (; !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
    const auto name = parse_station_folder(at->path().filename().string());
    if (name && ::access(station_file(data, *name).c_str(), F_OK) == 0) stations.push_back(*name);
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return fault_from_errno(error.value(), "cannot list folder " + stations_folder(data));
  }
  std::sort(stations.begin(), stations.end(),
            [](const auto& a, const auto& b) { return a.text() < b.text(); });
  return stations;
}

std::string being_removed(const std::string& data, const shm::StationName& name) {
  return station_file(data, name) + ".removing";
}

Status remove_station_files(const std::string& data, const shm::StationName& name) {
  const std::string folder = station_folder(data, name);
  const std::string path = station_file(data, name);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return fault_from_errno(errno, "cannot remove station " + path);
  }
  // From here on the station is gone, after a power cut too.
  if (::access(folder.c_str(), F_OK) == 0) LL_TRY_STATUS(sync_folder(folder));
  std::error_code error;
  const std::string mark = being_removed(data, name);
  std::filesystem::directory_iterator at(folder, error);
  for (; !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
    std::error_code kept;  // the folder itself then says so
    if (at->path() != mark) std::filesystem::remove_all(at->path(), kept);
  }
  std::filesystem::remove_all(folder, error);
  if (!error) return ok();
  return fault_from_errno(error.value(), "cannot remove folder " + folder);
}

Result<shm::RingOptions> ring_options_of(const StationConf& conf, const shm::StationName& name) {
  const shm::FactorySettings& from = conf.ring;
  shm::RingOptions options;
  options.factory = name.factory;
  options.station = name.station;
  options.storage = shm::Storage::file;
  options.log_uuid = {conf.id.words[0], conf.id.words[1]};
  options.capacity = from.ring.value_or(options.capacity);
  options.partitions = from.partitions.value_or(options.partitions);
  options.message_max = from.max_message.value_or(options.message_max);
  options.exclusive = from.exclusive.value_or(options.exclusive);
  options.when_full = from.when_full.value_or(options.when_full);
  options.timestamp = from.timestamp.value_or(options.timestamp);
  options.dedup_window_ns = from.dedup_window_ns.value_or(options.dedup_window_ns);
  options.dedup_entries = from.dedup_entries.value_or(options.dedup_entries);
  options.mode = from.mode.value_or(options.mode);
  if (from.owner) {
    LL_TRY(owner, shm::find_owner(*from.owner));
    options.owner = owner;
  }
  return options;
}

}  // namespace loopline::io
