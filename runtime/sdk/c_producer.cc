// C producers: open slots kept by number, so that a slot is a small value that may be copied.
#include "c_support.h"

namespace loopline::c {

// What a slot of C code stands for.
struct Claimed {
  Slot slot;
  bool is_open = false;
};

}  // namespace loopline::c

// Slots are aborted before their producer goes: members go in reverse.
struct ll_producer {
  explicit ll_producer(loopline::Producer opened) : producer(std::move(opened)) {}

  loopline::Producer producer;
  // As many as were ever open at once; each stays where it is.
  std::vector<std::unique_ptr<loopline::c::Claimed>> claims;
  std::vector<uint64_t> free;             // indices of claims that are not open
  std::vector<loopline::Header> headers;  // of the message at hand
};

namespace loopline::c {
namespace {

// No padding, which a program need not have set to 0.
static_assert(sizeof(ll_producer_options) == 32);
static_assert(sizeof(ll_publish_options) == 72);

constexpr size_t headers_max = 1024;
constexpr const char* producer_needed = "producer comes from ll_producer_open";
constexpr const char* slot_needed = "slot is filled in by ll_producer_claim";

static_assert(sizeof(ll_ticket) == 24);
static_assert(LL_ACK_VISIBLE - 1 == static_cast<int>(Ack::visible));
static_assert(LL_ACK_COMMITTED - 1 == static_cast<int>(Ack::committed));

Result<Ack> level_of(uint32_t level) {
  if (level == LL_UNSET || level > LL_ACK_COMMITTED) return unknown_option("level", level);
  return static_cast<Ack>(level - 1);
}

Ticket ticket_of(const ll_ticket& ticket) {
  return {ticket.sequence, ticket.partition, ticket.end_position, nullptr, ticket.duplicate != 0};
}

Status take_headers(const ll_publish_options& asked, std::vector<Header>& headers) {
  LL_TRY_STATUS(need(asked.headers, "headers has header_count of them"));
  if (asked.header_count > headers_max) {
    return Fault(FaultCode::invalid_argument,
                 "a message has " + std::to_string(asked.header_count) + " headers; at most " +
                     std::to_string(headers_max));
  }
  headers.clear();
  for (size_t index = 0; index < asked.header_count; ++index) {
    LL_TRY(name, text_of(asked.headers[index].name, "the name of a header"));
    LL_TRY(value, text_of(asked.headers[index].value, "the value of a header"));
    headers.push_back({name, value});
  }
  return ok();
}

// `options` points into `asked` and into `headers`.
Status take_options(const ll_publish_options* given, std::vector<Header>& headers,
                    PublishOptions& options) {
  if (given == nullptr) return ok();
  ll_publish_options asked = LL_PUBLISH_OPTIONS;
  LL_TRY_STATUS(take(given, asked));
  LL_TRY(key, text_of(asked.key, "key"));
  LL_TRY(id, text_of(asked.id, "id"));
  options.key = key;
  options.id = id;
  if (asked.header_count != 0) {
    LL_TRY_STATUS(take_headers(asked, headers));
    options.headers = headers;
  }
  if (asked.reserved != 0) return unknown_option("reserved", asked.reserved);
  if (asked.ack != LL_UNSET) {
    LL_TRY(level, level_of(asked.ack));
    options.ack = level;
  }
  if (asked.timeout_ns == LL_AS_THE_STATION_SAYS) return ok();
  if (asked.timeout_ns < LL_FOR_EVER) {
    return Fault(FaultCode::invalid_argument,
                 "timeout_ns must be 0 or more, LL_FOR_EVER or LL_AS_THE_STATION_SAYS");
  }
  options.timeout =
      asked.timeout_ns == LL_FOR_EVER ? forever : std::chrono::nanoseconds(asked.timeout_ns);
  return ok();
}

// The index of one that is not open; it is free until `free` loses it.
uint64_t free_claim(ll_producer& producer) {
  if (producer.free.empty()) {
    // Room first: a claim is given back without allocating.
    producer.free.reserve(producer.claims.size() + 1);
    producer.claims.push_back(std::make_unique<Claimed>());
    producer.free.push_back(producer.claims.size() - 1);
  }
  return producer.free.back();
}

// What stands behind a slot that C code kept, perhaps for too long.
Result<Claimed*> open_claim(ll_producer* producer, const ll_slot* slot) {
  LL_TRY_STATUS(need(producer, producer_needed));
  LL_TRY_STATUS(need(slot, slot_needed));
  if (slot->index < producer->claims.size()) {
    Claimed* const claim = producer->claims[slot->index].get();
    if (claim->is_open && claim->slot.bytes().data() == slot->bytes &&
        claim->slot.sequence() == slot->sequence) {
      return claim;
    }
  }
  return Fault(FaultCode::invalid_argument,
               "this slot was committed or aborted already, or is another producer's");
}

// `end` commits or aborts; either way, the slot holds nothing afterwards.
ll_status end_slot(ll_producer* producer, ll_slot* slot, ll_error* error, Status (Slot::*end)()) {
  return run(error, [&]() -> Status {
    LL_TRY(claim, open_claim(producer, slot));
    claim->is_open = false;
    producer->free.push_back(slot->index);
    slot->bytes = nullptr;
    return (claim->slot.*end)();
  });
}

}  // namespace
}  // namespace loopline::c

namespace c = loopline::c;
using loopline::Status;

ll_status ll_producer_open(const ll_station* station, const ll_producer_options* options,
                           ll_producer** producer, ll_error* error) {
  return c::run(error, [&]() -> Status {
    LL_TRY_STATUS(c::need(station, "station comes from ll_station_open"));
    LL_TRY_STATUS(c::need(producer, "producer is where the handle is put"));
    ll_producer_options asked = LL_PRODUCER_OPTIONS;
    LL_TRY_STATUS(c::take(options, asked));
    if (asked.reserved != 0) return c::unknown_option("reserved", asked.reserved);
    if (asked.identified > 1) return c::unknown_option("identified", asked.identified);
    LL_TRY(opened, station->station.producer({.identified = asked.identified == 1,
                                              .id = asked.id,
                                              .first_sequence = asked.first_sequence}));
    auto handle = std::make_unique<ll_producer>(std::move(opened));
    c::free_claim(*handle);  // the first claim allocates nothing
    *producer = handle.release();
    return loopline::ok();
  });
}

void ll_producer_close(ll_producer* producer) { delete producer; }

uint64_t ll_producer_id(const ll_producer* producer) {
  return producer == nullptr ? 0 : producer->producer.id();
}

uint64_t ll_producer_id_of(const char* name) {
  return name == nullptr ? 0 : loopline::producer_id_of(name);
}

uint64_t ll_producer_last_sequence(const ll_producer* producer) {
  return producer == nullptr ? 0 : producer->producer.last_sequence();
}

uint64_t ll_producer_next_sequence(const ll_producer* producer) {
  return producer == nullptr ? 0 : producer->producer.next_sequence();
}

uint32_t ll_producer_epoch(const ll_producer* producer) {
  return producer == nullptr ? 0 : producer->producer.epoch();
}

int ll_producer_was_duplicate(const ll_producer* producer) {
  return producer != nullptr && producer->producer.was_duplicate() ? 1 : 0;
}

ll_status ll_producer_claim(ll_producer* producer, size_t payload_bytes,
                            const ll_publish_options* options, ll_slot* slot, ll_error* error) {
  return c::run(error, [&]() -> Status {
    LL_TRY_STATUS(c::need(producer, c::producer_needed));
    LL_TRY_STATUS(c::need(slot, c::slot_needed));
    loopline::PublishOptions asked;
    LL_TRY_STATUS(c::take_options(options, producer->headers, asked));
    const uint64_t index = c::free_claim(*producer);
    LL_TRY(claimed, producer->producer.claim(payload_bytes, asked));
    *slot = {claimed.bytes().data(), payload_bytes, claimed.sequence(), index};
    producer->claims[index]->slot = std::move(claimed);
    producer->claims[index]->is_open = true;
    producer->free.pop_back();
    return loopline::ok();
  });
}

ll_status ll_producer_commit(ll_producer* producer, ll_slot* slot, ll_error* error) {
  return c::end_slot(producer, slot, error, &loopline::Slot::commit);
}

ll_status ll_producer_abort(ll_producer* producer, ll_slot* slot, ll_error* error) {
  return c::end_slot(producer, slot, error, &loopline::Slot::abort);
}

namespace loopline::c {
namespace {

Result<Ticket> publish(ll_producer* producer, const void* payload, size_t payload_bytes,
                       const ll_publish_options* options, bool waits) {
  LL_TRY_STATUS(need(producer, producer_needed));
  if (payload_bytes != 0) LL_TRY_STATUS(need(payload, "payload has payload_bytes bytes"));
  PublishOptions asked;
  LL_TRY_STATUS(take_options(options, producer->headers, asked));
  const std::span bytes(static_cast<const std::byte*>(payload), payload_bytes);
  if (!waits) return producer->producer.publish_async(bytes, asked);
  LL_TRY(sequence, producer->producer.publish(bytes, asked));
  return Ticket(sequence, 0);  // waited for already
}

}  // namespace
}  // namespace loopline::c

ll_status ll_producer_publish(ll_producer* producer, const void* payload, size_t payload_bytes,
                              const ll_publish_options* options, uint64_t* sequence,
                              ll_error* error) {
  return c::run(error, [&]() -> Status {
    LL_TRY(published, c::publish(producer, payload, payload_bytes, options, true));
    if (sequence != nullptr) *sequence = published.sequence();
    return loopline::ok();
  });
}

ll_status ll_producer_publish_async(ll_producer* producer, const void* payload,
                                    size_t payload_bytes, const ll_publish_options* options,
                                    ll_ticket* ticket, ll_error* error) {
  return c::run(error, [&]() -> Status {
    LL_TRY_STATUS(c::need(ticket, "ticket is where the message's ticket is put"));
    LL_TRY(published, c::publish(producer, payload, payload_bytes, options, false));
    *ticket = {published.sequence(), published.end_position(), published.partition(),
               published.is_duplicate() ? 1u : 0u};
    return loopline::ok();
  });
}

uint32_t ll_producer_level(const ll_producer* producer, const ll_ticket* ticket) {
  if (producer == nullptr || ticket == nullptr) return LL_UNSET;
  // A wait that does not wait, and changes nothing.
  auto& asked = const_cast<ll_producer*>(producer)->producer;
  const auto done = asked.wait(c::ticket_of(*ticket), loopline::Ack::committed, {});
  return done ? LL_ACK_COMMITTED : LL_ACK_VISIBLE;
}

ll_status ll_producer_wait(ll_producer* producer, const ll_ticket* ticket, uint32_t level,
                           int64_t timeout_ns, ll_error* error) {
  return c::run(error, [&]() -> Status {
    LL_TRY_STATUS(c::need(producer, c::producer_needed));
    LL_TRY_STATUS(c::need(ticket, "ticket is filled in by ll_producer_publish_async"));
    LL_TRY(wanted, c::level_of(level));
    LL_TRY(timeout, c::timeout_of(timeout_ns));
    return producer->producer.wait(c::ticket_of(*ticket), wanted, timeout);
  });
}
