// PosixDisk: the files of a log on this machine, through plain system calls and, where the file
// system can, past the page cache.
#pragma once

#include "disk.h"

namespace loopline::io {

// One for the whole process: it has no state.
Disk& posix_disk();

// In the calling thread, and those it makes from now on, a file that grows past the process's limit
// (ulimit -f) is a fault, not a signal that kills.
void block_file_size_signal();

}  // namespace loopline::io
