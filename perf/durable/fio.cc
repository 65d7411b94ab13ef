// Fio: the bandwidth of the disk as the usual tool finds it, and what of a processor that takes.
#include <fstream>
#include <nlohmann/json.hpp>

#include "disk.h"
#include "perf/peers/server.h"

namespace loopline::perf {
namespace {

using Json = nlohmann::json;

std::vector<std::string> words(const Site& site, const std::string& engine) {
  const std::string runtime = std::to_string(site.measure_ns / 1'000'000) + "ms";
  return {"fio",
          "--name=yardstick",
          "--filename=" + site.big_file,
          "--rw=write",
          "--bs=1M",
          "--iodepth=4",
          "--direct=1",
          "--overwrite=1",
          "--size=" + std::to_string(site.big_file_bytes),
          "--time_based",
          "--thread",
          "--runtime=" + runtime,
          "--ioengine=" + engine,
          "--output-format=json",
          "--output=figures"};
}

Result<Figures> parse(const std::string& path) {
  std::ifstream file(path);
  const Json report = Json::parse(file, nullptr, false);
  const Json job = report.is_discarded() ? Json() : report.value("/jobs/0"_json_pointer, Json());
  if (!job.is_object() || job.value("error", 1) != 0) {
    return Fault(FaultCode::io_error, "fio wrote no figures; it may be out of room on the disk");
  }
  Figures figures;
  figures.bytes_per_s = job.value("/write/bw_bytes"_json_pointer, 0.0);
  figures.cores = (job.value("usr_cpu", 0.0) + job.value("sys_cpu", 0.0)) / 100;
  figures.version = report.value("fio version", "unknown");
  return figures;
}

Result<Figures> run(const Site& site, const std::string& engine) {
  LL_TRY(fio, Server::start(words(site, engine), site.folder));
  LL_TRY_STATUS(fio.wait_to_end());
  LL_TRY(figures, parse(site.folder + "/figures"));
  figures.settings = "write of 1MiB, O_DIRECT, 4 in flight, not synced, " + engine;
  return std::move(figures);
}

}  // namespace

Result<Figures> write_with_fio(const Site& site) {
  auto figures = run(site, "io_uring");
  if (figures || figures.fault().code() == FaultCode::unsupported) return figures;
  return run(site, "libaio");
}

}  // namespace loopline::perf
