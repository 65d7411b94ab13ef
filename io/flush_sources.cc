// FlushSources: conf to sources.
#include "flush_sources.h"

#include "log/file_station.h"
#include "log/paths.h"

namespace loopline::io {

Result<std::vector<FlushSource>> sources_of(const shm::Directory& directory,
                                            const std::string& data, const shm::StationName& name) {
  LL_TRY(conf, read_station_conf(data, name));
  if (!conf) {
    const auto ring = directory.attach(name, 0, shm::Access::look);
    if (!ring && has_lost_conf(data, name)) return conf_missing(data, name, nullptr);
    if (!ring) return ring.fault();
    if (ring->header().storage == shm::Storage::file) {
      return conf_missing(data, name, &ring->header());
    }
    return Fault(FaultCode::unsupported, "station \"" + name.text() +
                                             "\" is in memory: there is nothing to flush; make "
                                             "one on disk: loopline station add NAME --storage "
                                             "file");
  }
  LL_TRY_STATUS(revive_station(directory, data, name));
  return sources_of(directory, data, name, *conf);
}

std::vector<FlushSource> sources_of(const shm::Directory& directory, const std::string& data,
                                    const shm::StationName& name, const StationConf& conf) {
  std::vector<FlushSource> sources;
  for (uint32_t partition = 0; partition < conf.ring.partitions.value_or(1); ++partition) {
    LogOptions log;
    log.folder = log_folder(data, name, partition);
    log.spares = spares_folder(data);
    log.name = name;
    log.partition = partition;
    log.id = log_of_partition(conf.id, partition);
    log.segment_bytes = conf.segment_bytes;
    log.retention = conf.retention;
    sources.push_back({directory, name, partition, std::move(log), conf.flush_interval_ns});
  }
  return sources;
}

}  // namespace loopline::io
