// NamedStation: a station with a file and an instance of its own, for tests that seal or attach.
//
//   NamedStation station;                              // in an instance of its own
//   auto attached = station.attach(Access::produce);
//   station.seal();                                    // in favour of a successor like it
//
// The instance goes with it.
#pragma once

#include <memory>
#include <string>

#include "ring_fixture.h"
#include "shm/directory.h"
#include "tests/support/temp_instance.h"

namespace loopline::shm {

class NamedStation {
 public:
  explicit NamedStation(RingOptions options = named_ring())
      : options_(std::move(options)),
        directory_(must(Directory::open_or_create(instance_.paths()))),
        roster_(must(directory_.roster())) {
    must(directory_.create(options_));
  }

  static RingOptions named_ring() {
    RingOptions options = tiny_ring(ring_capacity_min);
    options.station = "orders";
    return options;
  }

  const Directory& directory() const { return directory_; }
  const RingOptions& options() const { return options_; }
  StationName name() const { return {options_.factory, options_.station}; }

  // The newest ring of the station.
  std::shared_ptr<Attached> attach(Access access = Access::produce) const {
    return made(must(directory_.attach(name(), 0, access)));
  }
  std::shared_ptr<Attached> attach_generation(uint32_t generation) const {
    return made(must(directory_.attach_generation(name(), 0, generation, Access::produce)));
  }
  std::vector<uint32_t> generations() const { return must(directory_.generations(name(), 0)); }

  Producer producer() const { return must(Producer::open(attach())); }
  Consumer lossless(From from = From::earliest) const {
    return must(Consumer::open(attach(Access::consume), {.from = from}));
  }
  Consumer lossy(From from = From::earliest) const {
    return must(Consumer::open(attach(Access::consume), {.lossy = true, .from = from}));
  }
  void seal() const { must(attach()->seal_with_successor(options_)); }
  void seal(const RingOptions& options) const { must(attach()->seal_with_successor(options)); }
  void remove() const { must(attach()->seal_for_good()); }

 private:
  std::shared_ptr<Attached> made(Mapping mapping) const {
    return Attached::make(std::move(mapping), roster_, directory_);
  }
  test::TempInstance instance_;
  RingOptions options_;
  Directory directory_;
  std::shared_ptr<Roster> roster_;
};

}  // namespace loopline::shm
