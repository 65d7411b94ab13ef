// FileStation: made with the station's own tools, as `loopline flush` does it.
#include "file_station.h"

#include "io/flush_sources.h"
#include "io/log/file_station.h"
#include "io/log/paths.h"
#include "perf/durable/keeper.h"
#include "shm/base/clock.h"

namespace loopline::perf {
namespace {

constexpr const char* station_name = "kept";

}  // namespace

Result<std::unique_ptr<FileStation>> FileStation::start(const std::string& folder,
                                                        StationOptions options,
                                                        shm::WaitKind wait) {
  auto made = std::unique_ptr<FileStation>(new FileStation(folder + "/instance", wait));
  LL_TRY_STATUS(made->begin(std::move(options)));
  return made;
}

Result<std::unique_ptr<FileStation>> FileStation::adopt(const std::string& folder,
                                                        shm::WaitKind wait) {
  auto made = std::unique_ptr<FileStation>(new FileStation(folder + "/instance", wait));
  LL_TRY_STATUS(made->start_flusher());
  return made;
}

FileStation::~FileStation() {
  producer_.reset();
  flusher_.reset();
  station_.reset();
  (void)Station::remove(station_name, dir_);
  const auto paths = shm::find_instance(dir_);
  if (paths) shm::remove_instance_shm(*paths);
}

Status FileStation::begin(StationOptions options) {
  options.storage = Storage::file;
  LL_TRY(station, Station::create(station_name, options, dir_));
  station_ = std::make_unique<Station>(std::move(station));
  LL_TRY_STATUS(start_flusher());
  LL_TRY(producer, station_->producer());
  producer_ = std::make_unique<Producer>(std::move(producer));
  LL_TRY(first, producer_->publish_async(std::string_view("first")));
  return producer_->wait(first, Ack::durable, std::chrono::nanoseconds(keeper_patience_ns));
}

Status FileStation::start_flusher() {
  LL_TRY(paths, shm::find_instance(dir_));
  LL_TRY(directory, shm::Directory::open(paths));
  const std::string data = io::data_folder_of(paths);
  io::keep_on_disk(directory, data);
  LL_TRY(name, shm::parse_station_name(station_name));
  log_folder_ = io::log_folder(data, name, 0);
  LL_TRY(flusher, io::Flusher::start({.wait = wait_}));
  flusher_ = std::move(flusher);
  const uint64_t begin_ns = monotonic_ns();
  LL_TRY(sources, io::sources_of(directory, data, name));
  for (const auto& source : sources) LL_TRY_STATUS(flusher_->add(source));
  opened_ns_ = monotonic_ns() - begin_ns;
  return ok();
}

io::FlushStatus FileStation::status() { return flusher_->status().at(0); }

}  // namespace loopline::perf
