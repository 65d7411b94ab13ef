// Ledger: the tables and the flight, read and written by the holder of the lock.
//
// Ids stand in the order in which they were published, the newest `entries` of them, so that the
// oldest is forgotten first and a full table is known exactly. A head leads to the newest id of its
// bucket, each of these to the one before it, by numbers: a number that is not among the newest any
// more ends the walk, so nothing is ever taken out. Producers stay where they are.
//
// The bytes are foreign: numbers only go down, and no walk is longer than its table.
#include <algorithm>

#include "ledger.h"

namespace loopline::shm {
namespace {

uint64_t value_of(const Atomic<uint64_t>& word) {
  return word.load(std::memory_order_relaxed);  // relaxed: the lock orders it
}
void put(Atomic<uint64_t>& word, uint64_t value) {
  word.store(value, std::memory_order_relaxed);  // relaxed: the lock orders it
}
// After all that was put before, should we die behind it.
void put_last(Atomic<uint64_t>& word, uint64_t value) {
  word.store(value, std::memory_order_release);  // release [cut]
}
uint64_t first_of(const Atomic<uint64_t>& word) {
  return word.load(std::memory_order_acquire);  // acquire [cut]
}

uint64_t spread(uint64_t id) {
  id ^= id >> 32;
  id *= 0x9e3779b97f4a7c15;
  return id ^ id >> 29;
}

}  // namespace

ProducerRecord* Ledger::producers() const {
  return reinterpret_cast<ProducerRecord*>(region_.address() + ledger_producers_offset - page_size);
}

Atomic<uint64_t>& Ledger::head(const IdKey& id) const {
  auto* heads =
      reinterpret_cast<Atomic<uint64_t>*>(region_.address() + ledger_heads_offset - page_size);
  return heads[id.words[0] & (entries_ - 1)];
}

IdRecord& Ledger::record(uint64_t number) const {
  auto* records =
      reinterpret_cast<IdRecord*>(region_.address() + ledger_records_offset(entries_) - page_size);
  return records[number & (entries_ - 1)];
}

bool Ledger::is_filled() const { return first_of(control().filled) == 1; }
void Ledger::set_filled() { put_last(control().filled, 1); }

void Ledger::clear() {
  put(control().filled, 0);
  put(control().id_count, 0);
  put(control().newest_ns, 0);
  for (uint64_t bucket = 0; bucket < entries_; ++bucket) put(head({{bucket, 0}}), 0);
  for (uint32_t index = 0; index < ledger_producers; ++index) put(producers()[index].id, 0);
}

// ---- the flight --------------------------------------------------------------

std::optional<Flight> Ledger::flight() const {
  const FlightLine& line = control().flight;
  const uint64_t parts = first_of(line.parts);
  if (parts == flight_none) return std::nullopt;
  Flight flight;
  if ((parts & flight_id) != 0)
    flight.marks.id = IdKey{{value_of(line.id[0]), value_of(line.id[1])}};
  if ((parts & flight_producer) != 0) {
    flight.marks.producer = ProducerStamp{value_of(line.producer), value_of(line.producer_sequence),
                                          static_cast<uint32_t>(value_of(line.epoch))};
  }
  flight.generation = static_cast<uint32_t>(value_of(line.generation));
  flight.position = value_of(line.position);
  flight.place = {value_of(line.sequence), value_of(line.end_position)};
  flight.time_ns = value_of(line.time_ns);
  return flight;
}

void Ledger::announce(const Flight& flight) {
  FlightLine& line = control().flight;
  put(line.generation, flight.generation);
  put(line.position, flight.position);
  put(line.sequence, flight.place.sequence);
  put(line.end_position, flight.place.end_position);
  put(line.time_ns, flight.time_ns);
  uint64_t parts = flight_none;
  if (flight.marks.id) {
    parts |= flight_id;
    put(line.id[0], flight.marks.id->words[0]);
    put(line.id[1], flight.marks.id->words[1]);
  }
  if (flight.marks.producer) {
    parts |= flight_producer;
    put(line.producer, flight.marks.producer->id);
    put(line.producer_sequence, flight.marks.producer->sequence);
    put(line.epoch, flight.marks.producer->epoch);
  }
  put_last(line.parts, parts);
}

void Ledger::land() { put_last(control().flight.parts, flight_none); }

Status Ledger::enter(const Flight& flight) {
  if (flight.marks.id) enter_id(*flight.marks.id, flight.time_ns, flight.place);
  if (!flight.marks.producer) return ok();
  const ProducerStamp& stamp = *flight.marks.producer;
  LL_TRY(place, place_for(stamp.id));
  ProducerRecord& record = *place;
  if (value_of(record.id) == 0) {
    put(record.last, 0);
    put(record.epoch, stamp.epoch);
    put(record.pid, 0);
  }
  // The log may name epochs that nobody opened here.
  put(record.epoch, std::max<uint64_t>(value_of(record.epoch), stamp.epoch));
  if (value_of(record.last) <= stamp.sequence) {
    put(record.sequence, flight.place.sequence);
    put(record.end_position, flight.place.end_position);
    put(record.time_ns, flight.time_ns);
    put_last(record.last, stamp.sequence);
  }
  put_last(record.id, stamp.id);
  return ok();
}

// ---- ids ---------------------------------------------------------------------

std::optional<RecordedPlace> Ledger::find_id(const IdKey& id, uint64_t since_ns) const {
  const uint64_t count = first_of(control().id_count);
  uint64_t number = value_of(head(id));
  for (uint32_t step = 0; step < entries_ && is_kept(number, count); ++step) {
    const IdRecord& found = record(number);
    if (value_of(found.time_ns) <= since_ns) break;  // and so are all before it
    if (value_of(found.id[0]) == id.words[0] && value_of(found.id[1]) == id.words[1]) {
      return RecordedPlace{value_of(found.sequence), value_of(found.end_position)};
    }
    const uint64_t before = value_of(found.before);
    if (before >= number) break;  // garbage
    number = before;
  }
  return std::nullopt;
}

uint64_t Ledger::next_is_from_ns() const {
  const uint64_t count = first_of(control().id_count);
  return count < entries_ ? 0 : value_of(record(count + 1).time_ns);
}

void Ledger::enter_id(const IdKey& id, uint64_t time_ns, RecordedPlace place) {
  const uint64_t count = first_of(control().id_count);
  const IdRecord& newest = record(count);
  const bool is_there = count != 0 && value_of(newest.id[0]) == id.words[0] &&
                        value_of(newest.id[1]) == id.words[1] &&
                        value_of(newest.end_position) == place.end_position;
  if (is_there) return;
  const uint64_t number = count + 1;
  IdRecord& mine = record(number);
  // Ours already, when a death came between the head and the count: what is before it stands there.
  const uint64_t top = first_of(head(id));
  const uint64_t before = top == number ? value_of(mine.before) : top;
  const uint64_t time = std::max(time_ns, value_of(control().newest_ns));
  put(mine.id[0], id.words[0]);
  put(mine.id[1], id.words[1]);
  put(mine.time_ns, time);
  put(mine.sequence, place.sequence);
  put(mine.end_position, place.end_position);
  put(mine.before, before);
  put(control().newest_ns, time);
  put_last(head(id), number);
  put_last(control().id_count, number);
}

// ---- producers ---------------------------------------------------------------

KnownProducer Ledger::known(const ProducerRecord& record) {
  return {value_of(record.id),
          value_of(record.last),
          static_cast<uint32_t>(value_of(record.epoch)),
          {value_of(record.sequence), value_of(record.end_position)},
          value_of(record.time_ns),
          static_cast<uint32_t>(value_of(record.pid))};
}

// Where `id` stands, or the free place where it would; null: neither.
ProducerRecord* Ledger::place_of(uint64_t id) const {
  for (uint32_t step = 0; step < ledger_producers; ++step) {
    ProducerRecord& record = producers()[(spread(id) + step) & (ledger_producers - 1)];
    const uint64_t there = first_of(record.id);
    if (there == id || there == 0) return &record;
  }
  return nullptr;
}

Result<ProducerRecord*> Ledger::place_for(uint64_t id) {
  ProducerRecord* place = id == 0 ? nullptr : place_of(id);
  if (place != nullptr) return place;
  return Fault(FaultCode::too_many, "ledger " + name_ + " knows " +
                                        std::to_string(ledger_producers) +
                                        " producers already, and has no room for one more; give "
                                        "producers that come again the same identity");
}

std::optional<KnownProducer> Ledger::find_producer(uint64_t id) const {
  const ProducerRecord* record = id == 0 ? nullptr : place_of(id);
  if (record == nullptr || value_of(record->id) == 0) return std::nullopt;
  return known(*record);
}

Result<KnownProducer> Ledger::take_over(uint64_t id, uint32_t pid, uint64_t now_ns) {
  LL_TRY(place, place_for(id));
  ProducerRecord& record = *place;
  if (value_of(record.id) == 0) {
    for (auto* word : {&record.last, &record.epoch, &record.sequence, &record.end_position}) {
      put(*word, 0);
    }
  }
  put(record.pid, pid);
  put(record.time_ns, now_ns);
  const uint64_t epoch = value_of(record.epoch) + 1;
  if (epoch > UINT32_MAX) {
    return Fault(FaultCode::too_many,
                 "this producer was opened as often as can be counted; use "
                 "another identity");
  }
  put_last(record.epoch, epoch);
  put_last(record.id, id);
  return known(record);
}

void Ledger::each_producer(const std::function<bool(const KnownProducer&)>& each) const {
  for (uint32_t index = 0; index < ledger_producers; ++index) {
    const ProducerRecord& record = producers()[index];
    if (first_of(record.id) != 0 && !each(known(record))) return;
  }
}

}  // namespace loopline::shm
