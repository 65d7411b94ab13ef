// BoostQueue: made under a name that is removed at once, so that no death leaves it behind.
#include "boost_queue.h"

#include <boost/version.hpp>

#include "peer_names.h"
#include "peers.h"
#include "perf/harness/loops.h"

namespace loopline::perf {
namespace {

// More slots gain nothing, and each costs an index entry.
constexpr uint64_t slots_max = 8192;
constexpr uint64_t slots_min = 8;

}  // namespace

std::string BoostQueue::version() {
  return std::to_string(BOOST_VERSION / 100000) + "." + std::to_string(BOOST_VERSION / 100 % 1000);
}

Result<std::unique_ptr<BoostQueue>> BoostQueue::make(const Shape& shape) {
  const std::string name = unique_name();
  const uint64_t slots = std::clamp(shape.ring_bytes / shape.message_bytes, slots_min, slots_max);
  try {
    auto queue = std::make_unique<Queue>(boost::interprocess::create_only, name.c_str(), slots,
                                         shape.message_bytes);
    // The mapping lives on in us and in the children we fork.
    Queue::remove(name.c_str());
    return std::unique_ptr<BoostQueue>(new BoostQueue(std::move(queue), shape.message_bytes));
  } catch (const boost::interprocess::interprocess_exception& exception) {
    Queue::remove(name.c_str());
    return Fault(FaultCode::io_error,
                 std::string("cannot make a Boost message_queue: ") + exception.what());
  }
}

void add_boost_queue(Cases& cases) { add_message_cases<BoostQueue>(cases); }

}  // namespace loopline::perf
