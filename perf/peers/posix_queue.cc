// PosixQueue: made under a name that is removed at once, as deep as the kernel lets us.
#include "posix_queue.h"

#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>

#include "peer_names.h"
#include "peers.h"
#include "perf/harness/loops.h"
#include "perf/harness/runner.h"
#include "shm/base/units.h"

namespace loopline::perf {
namespace {

constexpr uint64_t depth_max = 65'536;  // the kernel's own limit for anybody
// What the kernel counts for a message besides its bytes.
constexpr uint64_t message_overhead = 96;

// The kernel's limits (10 messages of 8 KiB) belong to an IPC namespace: in one of our own, root
// may raise them, and changes nothing for others. Everybody else stays with what there is.
void raise_limits() {
  static const bool is_ours = ::unshare(CLONE_NEWIPC) == 0;
  if (!is_ours) return;
  std::ofstream("/proc/sys/fs/mqueue/msg_max") << depth_max;
  std::ofstream("/proc/sys/fs/mqueue/msgsize_max") << (16 << 20);
}

// As many as fit into the ring's bytes, and into half of those that a user may hold in queues:
// benches with a way back have two.
uint64_t wanted_depth(const Shape& shape) {
  rlimit limit{};
  ::getrlimit(RLIMIT_MSGQUEUE, &limit);
  const uint64_t allowed = limit.rlim_cur / 2 / (shape.message_bytes + message_overhead);
  return std::clamp<uint64_t>(std::min(shape.ring_bytes / shape.message_bytes, allowed), 1,
                              depth_max);
}

uint64_t depth_limit() {
  uint64_t limit = 1;
  std::ifstream("/proc/sys/fs/mqueue/msg_max") >> limit;
  return limit;
}

}  // namespace

std::string PosixQueue::version() { return kernel_version(); }

Result<std::unique_ptr<PosixQueue>> PosixQueue::make(const Shape& shape) {
  raise_limits();
  const std::string path = "/" + unique_name();
  const uint64_t depth = std::min(wanted_depth(shape), depth_limit());
  std::unique_ptr<PosixQueue> made(new PosixQueue(shape.message_bytes, depth));
  mq_attr attributes{};
  attributes.mq_maxmsg = static_cast<long>(depth);
  attributes.mq_msgsize = static_cast<long>(shape.message_bytes);
  constexpr int flags = O_CREAT | O_EXCL | O_RDWR | O_NONBLOCK | O_CLOEXEC;
  made->queue_ = ::mq_open(path.c_str(), flags, 0600, &attributes);
  if (made->queue_ < 0 && errno == EINVAL) {
    return Fault(FaultCode::unsupported, "the kernel takes no POSIX message of " +
                                             format_size(shape.message_bytes) +
                                             "; see /proc/sys/fs/mqueue/msgsize_max");
  }
  if (made->queue_ < 0) return fault_from_errno(errno, "cannot make a POSIX message queue");
  made->blocking_ = ::mq_open(path.c_str(), O_RDWR | O_CLOEXEC);
  const int error = errno;
  ::mq_unlink(path.c_str());
  if (made->blocking_ < 0) return fault_from_errno(error, "cannot open a POSIX message queue");
  return made;
}

PosixQueue::~PosixQueue() {
  if (queue_ >= 0) ::mq_close(queue_);
  if (blocking_ >= 0) ::mq_close(blocking_);
}

void add_posix_queue(Cases& cases) {
  const size_t first = cases.size();
  add_message_cases<PosixQueue>(cases);
  // Who may not raise the kernel's limits measures another queue, so each figure says it.
  for (size_t index = first; index < cases.size(); ++index) {
    const auto made = PosixQueue::make({cases[index].size_bytes, Schedule().ring_bytes});
    if (made) cases[index].version += ", " + std::to_string((*made)->depth()) + " deep";
  }
}

}  // namespace loopline::perf
