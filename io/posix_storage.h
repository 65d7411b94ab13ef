// PosixStorage: writes by threads, for kernels and containers that forbid io_uring.
#pragma once

#include "storage.h"

namespace loopline::io {

std::unique_ptr<Storage> make_posix_storage(uint32_t depth);

}  // namespace loopline::io
