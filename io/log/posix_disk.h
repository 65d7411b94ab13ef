// PosixDisk: the files of a log on this machine, through plain system calls and, where the file
// system can, past the page cache.
#pragma once

#include "disk.h"

namespace loopline::io {

// One for the whole process: it has no state.
Disk& posix_disk();

}  // namespace loopline::io
