// C consumers: runs of messages in memory of the consumer's own, and what a message holds.
#include <chrono>

#include "c_support.h"

struct ll_consumer {
  explicit ll_consumer(loopline::Consumer opened) : consumer(std::move(opened)) {}

  loopline::Consumer consumer;
  loopline::Message messages[LL_RUN_MAX];
};

namespace loopline::c {
namespace {

static_assert(LL_RUN_MAX == Consumer::run_max);
static_assert(LL_WAIT_PARK == static_cast<int>(Wait::park));
static_assert(sizeof(ll_consumer_options) == 32);  // no padding

constexpr const char* consumer_needed = "consumer comes from ll_consumer_open";

// Where to begin, of LL_FROM_... and from_value.
Result<From> from_of(const ll_consumer_options& asked) {
  switch (asked.from) {
    case LL_FROM_EARLIEST:
      return From::earliest;
    case LL_FROM_LATEST:
      return From::latest;
    case LL_FROM_SEQUENCE:
      return From::sequence(asked.from_value);
    case LL_FROM_TIME:
      return From::time(asked.from_value);
    case LL_FROM_LAST:
      return From::last(asked.from_value);
    default:
      return unknown_option("from", asked.from);
  }
}

Result<ConsumerOptions> consumer_options(const ll_consumer_options* given) {
  ll_consumer_options asked = LL_CONSUMER_OPTIONS;
  LL_TRY_STATUS(take(given, asked));
  LL_TRY(from, from_of(asked));
  if (asked.wait > LL_WAIT_PARK) return unknown_option("wait", asked.wait);
  if (asked.lossy > 1) return unknown_option("lossy", asked.lossy);
  ConsumerOptions options{
      .from = from, .lossy = asked.lossy == 1, .wait = static_cast<Wait>(asked.wait)};
  if (asked.partition != LL_ALL_PARTITIONS) options.partition = asked.partition;
  return options;
}

// An ll_message is a Message by another name.
const ll_message* to_c(const Message* message) {
  return reinterpret_cast<const ll_message*>(message);
}

// One that holds nothing stands in for NULL.
const Message& from_c(const ll_message* message) {
  static const Message nothing;
  return message == nullptr ? nothing : *reinterpret_cast<const Message*>(message);
}

}  // namespace
}  // namespace loopline::c

namespace c = loopline::c;
using loopline::Status;

ll_status ll_consumer_open(const ll_station* station, const ll_consumer_options* options,
                           ll_consumer** consumer, ll_error* error) {
  return c::run(error, [&]() -> Status {
    LL_TRY_STATUS(c::need(station, "station comes from ll_station_open"));
    LL_TRY_STATUS(c::need(consumer, "consumer is where the handle is put"));
    LL_TRY(asked, c::consumer_options(options));
    LL_TRY(opened, station->station.consumer(asked));
    *consumer = new ll_consumer(std::move(opened));
    return loopline::ok();
  });
}

void ll_consumer_close(ll_consumer* consumer) { delete consumer; }

ll_status ll_consumer_read(ll_consumer* consumer, const ll_message** messages, size_t max,
                           size_t* count, ll_error* error) {
  return c::run(error, [&]() -> Status {
    LL_TRY_STATUS(c::need(consumer, c::consumer_needed));
    LL_TRY_STATUS(c::need(messages, "messages has room for max of them"));
    LL_TRY_STATUS(c::need(count, "count is where the number of messages is put"));
    const std::span run(consumer->messages, std::min<size_t>(max, LL_RUN_MAX));
    LL_TRY(found, consumer->consumer.read(run));
    for (size_t index = 0; index < found; ++index) messages[index] = c::to_c(&run[index]);
    *count = found;
    return loopline::ok();
  });
}

ll_status ll_consumer_release(ll_consumer* consumer, ll_error* error) {
  return c::run(error, [&]() -> Status {
    LL_TRY_STATUS(c::need(consumer, c::consumer_needed));
    return consumer->consumer.release();
  });
}

ll_status ll_consumer_take(ll_consumer* consumer, const ll_message** message, int64_t timeout_ns,
                           ll_error* error) {
  bool is_taken = false;
  const ll_status status = c::run(error, [&]() -> Status {
    LL_TRY_STATUS(c::need(consumer, c::consumer_needed));
    LL_TRY_STATUS(c::need(message, "message is where the message is put"));
    LL_TRY(timeout, c::timeout_of(timeout_ns));
    LL_TRY(taken, consumer->consumer.take(timeout));
    is_taken = taken.has_value();
    if (!is_taken) return loopline::ok();
    consumer->messages[0] = *taken;
    *message = c::to_c(&consumer->messages[0]);
    return loopline::ok();
  });
  if (status != LL_OK || is_taken) return status;
  return c::report(LL_TIMED_OUT, "no message came until the timeout passed", error);
}

ll_status ll_consumer_wait(ll_consumer* consumer, int64_t timeout_ns, ll_error* error) {
  bool ready = false;
  const ll_status status = c::run(error, [&]() -> Status {
    LL_TRY_STATUS(c::need(consumer, c::consumer_needed));
    LL_TRY(timeout, c::timeout_of(timeout_ns));
    LL_TRY(waited, consumer->consumer.wait(timeout));
    ready = waited;
    return loopline::ok();
  });
  if (status != LL_OK || ready) return status;
  return c::report(LL_TIMED_OUT, "there was nothing to read until the timeout passed", error);
}

ll_status ll_consumer_fd(ll_consumer* consumer, int* fd, ll_error* error) {
  return c::run(error, [&]() -> Status {
    LL_TRY_STATUS(c::need(consumer, c::consumer_needed));
    LL_TRY_STATUS(c::need(fd, "fd is where the descriptor is put"));
    LL_TRY(made, consumer->consumer.fd());
    *fd = made;
    return loopline::ok();
  });
}

ll_gap ll_consumer_gap(ll_consumer* consumer) {
  if (consumer == nullptr) return {0, 0, 0, 0};
  const loopline::Gap gap = consumer->consumer.gap();
  return {gap.first, gap.count, gap.partition, 0};
}

uint64_t ll_message_sequence(const ll_message* message) { return c::from_c(message).sequence(); }

uint32_t ll_message_partition(const ll_message* message) { return c::from_c(message).partition(); }

uint64_t ll_message_timestamp_ns(const ll_message* message) {
  return c::from_c(message).timestamp_ns();
}

uint64_t ll_message_position(const ll_message* message) { return c::from_c(message).position(); }

ll_bytes ll_message_payload(const ll_message* message) {
  const auto payload = c::from_c(message).payload();
  return {payload.data(), payload.size()};
}

ll_text ll_message_key(const ll_message* message) { return c::text_to_c(c::from_c(message).key()); }

ll_text ll_message_id(const ll_message* message) { return c::text_to_c(c::from_c(message).id()); }

uint32_t ll_message_header_count(const ll_message* message) {
  return c::from_c(message).header_count();
}

ll_header ll_message_header(const ll_message* message, uint32_t index) {
  const loopline::Header header = c::from_c(message).header(index);
  return {c::text_to_c(header.name), c::text_to_c(header.value)};
}

ll_producer_identity ll_message_producer(const ll_message* message) {
  const auto identity = c::from_c(message).producer();
  if (!identity) return {0, 0, 0, 0};
  return {identity->id, identity->sequence, identity->epoch, 0};
}
