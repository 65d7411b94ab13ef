// Drive: keeps a number of messages in flight and notes how long each waits to be acknowledged.
#pragma once

#include "keeper.h"
#include "rows.h"

namespace loopline::perf {

struct Span {
  uint64_t warm_up_ns = 0;  // not counted
  uint64_t measure_ns = 0;
};

// Every message it submits is acknowledged when it returns. The figures say what `keeper` is, too.
Result<Figures> drive(Keeper& keeper, const Load& load, const Span& span);

}  // namespace loopline::perf
