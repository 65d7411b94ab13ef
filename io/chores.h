// Chores: slow work on files (making segments, renaming, manifests) that no commit waits for.
//
// The flusher posts a chore; it runs on a thread of its own and returns what is to be done with its
// result, which the flusher runs when it collects. Chores run one after the other, in order.
#pragma once

#include <functional>

#include "shm/layout.h"

namespace loopline::io {

using Continuation = std::function<void()>;
using Chore = std::function<Continuation()>;

class Chores {
 public:
  virtual ~Chores() = default;
  virtual void post(Chore chore) = 0;
  // Runs the continuations of the chores that are done; whether there were any.
  virtual bool collect() = 0;
  // Rung when a chore is done.
  virtual shm::BellLine& bell() = 0;
};

}  // namespace loopline::io
