// Disk: the yardsticks, what the disk below the folder does without any keeper in between.
#pragma once

#include "keeper.h"
#include "rows.h"

namespace loopline::perf {

// One block of 4 KiB after the other, O_DIRECT, each followed by fdatasync, into `big_file`, whose
// extents are written already; one in flight.
Result<std::unique_ptr<Keeper>> start_raw_write(const std::string& big_file,
                                                uint64_t big_file_bytes);

// 1 MiB at a time through `big_file`, O_DIRECT, one in flight.
Result<Figures> read_raw(const Site& site);

// All of a file, 1 MiB at a time, O_DIRECT; its bytes.
Result<uint64_t> read_file_raw(const std::string& path);

// fio, 1 MiB at a time over `big_file`, O_DIRECT, four in flight, nothing synced; io_uring, or
// libaio where the kernel forbids that.
Result<Figures> write_with_fio(const Site& site);

// Fills a new file with bytes and syncs it.
Status write_big_file(const std::string& path, uint64_t bytes);

// Whether files there are in memory: no figure of theirs says anything about a disk.
Result<bool> is_in_memory(const std::string& folder);

// "ext4 on vda", as the kernel calls them.
std::string disk_name(const std::string& folder);

}  // namespace loopline::perf
