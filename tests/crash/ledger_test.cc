// Who publishes into a ledger is cut off at every step: a retry appends once, and who was fenced
// appends nothing.
#include <signal.h>

#include <map>

#include "every_step.h"
#include "shm/base/clock.h"
#include "shm/recorder.h"

namespace loopline::crash {
namespace {

using shm::Recorder;

// A station with a file, and somebody who reads all of it.
class Desk {
 public:
  explicit Desk(Scene& scene) : scene_(scene) {
    shm::ConsumerOptions all;
    all.from = From::earliest;
    reader_.emplace(
        need(shm::Consumer::open(scene.attach(shm::Access::consume), all), "no reader"));
  }

  // Messages without marks, for three times the ring.
  std::string go_round() {
    for (int count = 0; count < 3 * 64; ++count) {
      shm::OpenFrame frame;
      const Status claimed = writer().claim(1000, soon(), frame);
      if (!claimed) return scene_.fail("claim", claimed.fault());
      need_ok(writer().commit(frame, 0));
      const std::string problem = read();
      if (!problem.empty()) return problem;
    }
    return "";
  }

  // The ring is left behind and its file given back.
  std::string seal() {
    shm::RingOptions next = shm::options_of(scene_.attached()->header());
    next.mode = 0660;
    const Status sealed = scene_.attached()->seal_with_successor(next);
    if (!sealed) return scene_.fail("seal", sealed.fault());
    std::string problem = read();
    scene_.renew();
    writer_.reset();  // one that has the old ring still mapped would settle there
    for (int count = 0; count < 100 && problem.empty(); ++count) {
      if (scene_.attached()->lift_gate()) return "";
      problem = read();
    }
    return problem.empty() ? "the ring stays" : problem;
  }

  std::string publish(const std::string& id) {
    auto recorder = Recorder::open(writer().attached(), soon());
    if (!recorder) return scene_.fail("recorder", recorder.fault());
    shm::RecordedMessage message;
    message.fields.id = id;
    const auto recorded = recorder->publish(writer(), message, soon());
    return recorded ? "" : scene_.fail("publish", recorded.fault());
  }

  // Takes the identity over and publishes what is missing up to `last`.
  std::string publish_up_to(uint64_t last) {
    auto recorder = Recorder::open(writer().attached(), soon());
    if (!recorder) return scene_.fail("recorder", recorder.fault());
    const auto known = recorder->take_over(*writer().attached(), identity, soon());
    if (!known) return scene_.fail("take over", known.fault());
    return publish_from(*recorder, known->last + 1, last);
  }
  std::string publish_from(Recorder& recorder, uint64_t first, uint64_t last) {
    for (uint64_t number = first; number <= last; ++number) {
      shm::RecordedMessage message;
      message.fields.producer = shm::ProducerStamp{0, number, 0};
      const auto recorded = recorder.publish(writer(), message, soon());
      if (!recorded) return scene_.fail("publish", recorded.fault());
    }
    return "";
  }

  std::string read() {
    for (;;) {
      shm::FrameView views[16];
      const auto run = reader_->read(views);
      if (!run) return scene_.fail("read", run.fault());
      for (size_t index = 0; index < *run; ++index) note(views[index]);
      if (*run != 0) continue;
      const auto more = reader_->wait(1);
      if (!more) return scene_.fail("wait", more.fault());
      const Pair before = reader_->at();
      const auto again = reader_->read(views);
      if (!again) return scene_.fail("read", again.fault());
      for (size_t index = 0; index < *again; ++index) note(views[index]);
      if (*again == 0 && reader_->at() == before) return "";
    }
  }

  // That each id that was published is there once.
  std::string ids_are_there_once(const std::vector<std::string>& ids) {
    std::string problem = read();
    for (const std::string& id : ids) {
      if (problem.empty() && ids_[id] != 1) problem = id + " is there " + times(ids_[id]);
    }
    return problem;
  }
  // That numbers 1 to `last` are there, each once, in order, and no epoch behind a later one.
  std::string numbers_are_there_once(uint64_t last) {
    std::string problem = read();
    uint64_t expected = 1;
    uint32_t epoch = 0;
    for (const shm::ProducerStamp& stamp : stamps_) {
      if (!problem.empty()) break;
      if (stamp.sequence != expected) problem = "number " + std::to_string(stamp.sequence);
      if (stamp.epoch < epoch) problem = "an epoch behind a later one";
      epoch = stamp.epoch;
      ++expected;
    }
    if (problem.empty() && expected != last + 1)
      problem = std::to_string(expected - 1) + " numbers";
    return problem;
  }

  shm::Producer& writer() {
    if (!writer_) writer_.emplace(need(shm::Producer::open(scene_.attached()), "no producer"));
    return *writer_;
  }
  static uint64_t soon() { return monotonic_ns() + 10'000'000'000; }
  static constexpr uint64_t identity = 9;

 private:
  static std::string times(int count) { return std::to_string(count) + " times"; }
  static void need_ok(const Status& status) {
    if (!status) give_up("commit", status.fault().message());
  }
  void note(const shm::FrameView& view) {
    if ((view.flags & shm::flag_extension) == 0) return;
    const auto extension = shm::ExtensionView::parse({view.body, view.body_size});
    if (!extension) return;
    if (!extension->id().empty()) ++ids_[std::string(extension->id())];
    if (extension->producer()) stamps_.push_back(*extension->producer());
  }

  Scene& scene_;
  std::optional<shm::Consumer> reader_;
  std::optional<shm::Producer> writer_;
  std::map<std::string, int> ids_;
  std::vector<shm::ProducerStamp> stamps_;
};

// In a child: a desk's verbs with handles of its own, from the first step on.
std::string publish_in_child(Scene& scene, const std::string& id) {
  auto producer = shm::Producer::open(scene.attached());
  if (!producer) return scene.fail("no producer", producer.fault());
  auto recorder = Recorder::open(scene.attached(), Desk::soon());
  if (!recorder) return scene.fail("no recorder", recorder.fault());
  shm::RecordedMessage message;
  message.fields.id = id;
  const auto recorded = recorder->publish(*producer, message, Desk::soon());
  return recorded ? "" : scene.fail("publish", recorded.fault());
}

constexpr uint64_t stop_stride = 3;

std::string number_in_child(Scene& scene, uint64_t last, bool may_be_fenced) {
  auto producer = shm::Producer::open(scene.attached());
  if (!producer) return scene.fail("no producer", producer.fault());
  auto recorder = Recorder::open(scene.attached(), Desk::soon());
  if (!recorder) return scene.fail("no recorder", recorder.fault());
  const auto known = recorder->take_over(*scene.attached(), Desk::identity, Desk::soon());
  if (!known) return scene.fail("take over", known.fault());
  for (uint64_t number = known->last + 1; number <= last; ++number) {
    shm::RecordedMessage message;
    message.fields.producer = shm::ProducerStamp{0, number, 0};
    for (uint64_t count = 0; count < stop_stride; ++count) step();  // with nothing in its hands
    const auto recorded = recorder->publish(*producer, message, Desk::soon());
    if (recorded) continue;
    const bool is_fenced = recorded.fault().code() == FaultCode::fenced;
    return is_fenced && may_be_fenced ? "" : scene.fail("publish", recorded.fault());
  }
  return "";
}

Trial beside_files() {
  Trial trial;
  trial.options = {.capacity = 65536, .files = true, .witnessed = false};
  return trial;
}

// Another id with the same head in the table as "a".
const std::string& neighbour() {
  static const std::string found = [] {
    const uint64_t heads = shm::RingOptions().dedup_entries;
    const uint64_t wanted = shm::key_of("a").words[0] % heads;
    uint64_t number = 0;
    while (shm::key_of(std::to_string(number)).words[0] % heads != wanted) ++number;
    return std::to_string(number);
  }();
  return found;
}

using Between = std::function<std::string(Desk&)>;

// "a" by one who dies, then something else happens, then "a" again by another.
Trial publishing_an_id(const Between& between) {
  Trial trial = beside_files();
  auto desk = std::make_shared<std::unique_ptr<Desk>>();
  // Whoever repeats it is there already: nothing is swept for it as it comes.
  trial.prepare = [desk](Scene& scene) {
    *desk = std::make_unique<Desk>(scene);
    return (*desk)->publish(neighbour());
  };
  trial.role = [](Scene& scene) { return publish_in_child(scene, "a"); };
  trial.check = [desk, between](Scene&) {
    std::string problem = between(**desk);
    const std::vector<std::string> ids = {"a", "b", neighbour()};
    for (const std::string& id : ids) {
      if (problem.empty()) problem = (*desk)->publish(id);
    }
    if (problem.empty()) problem = (*desk)->ids_are_there_once(ids);
    desk->reset();
    return problem;
  };
  return trial;
}

TEST(KilledRecorder, OfAnIdIsRepeatedOnceAtAnyStep) {
  EXPECT_GT(at_every_step(publishing_an_id([](Desk&) { return std::string(); }), Action::die), 40u);
}
TEST(KilledRecorder, OfAnIdIsRepeatedOnceLapsLater) {
  EXPECT_GT(
      at_every_step(publishing_an_id([](Desk& desk) { return desk.go_round(); }), Action::die),
      40u);
}
TEST(KilledRecorder, OfAnIdIsRepeatedOnceWhenItsRingIsGone) {
  EXPECT_GT(at_every_step(publishing_an_id([](Desk& desk) { return desk.seal(); }), Action::die),
            40u);
}

// A second one dies over what the first left, at every step.
TEST(KilledRecorder, ThenItsSettlerAtAnyStep) {
  // Of the first, who has nothing in flight before; less than its steps with an open frame.
  constexpr uint64_t begin = 30, stride = 9;
  uint64_t tried = 0;
  bool was_killed = true;
  for (uint64_t first = begin; was_killed && first < steps_max; first += stride) {
    Trial trial = publishing_an_id([](Desk&) { return std::string(); });
    const auto prepare = trial.prepare;
    trial.prepare = [&, prepare](Scene& scene) {
      const std::string problem = prepare(scene);
      was_killed = scene.run({Action::die, first}, trial.role) == End::died;
      return problem;
    };
    tried += at_every_step(trial, Action::die);
    if (testing::Test::HasFailure()) break;
  }
  EXPECT_GT(tried, 100u);
}

Trial numbering(uint64_t last) {
  Trial trial = beside_files();
  auto desk = std::make_shared<std::unique_ptr<Desk>>();
  trial.prepare = [desk](Scene& scene) {
    *desk = std::make_unique<Desk>(scene);
    return std::string();
  };
  trial.role = [last](Scene& scene) { return number_in_child(scene, last, true); };
  trial.check = [desk, last](Scene&) {
    std::string problem = (*desk)->publish_up_to(last);
    if (problem.empty()) problem = (*desk)->numbers_are_there_once(last);
    desk->reset();
    return problem;
  };
  // Taken over while it stands still; what it has in its hands comes first, or is waited for.
  trial.when_stopped = [desk, last](Scene& scene, pid_t child) {
    auto recorder = Recorder::open(scene.attached(), 0);
    std::string problem;
    const auto known = recorder ? recorder->take_over(*scene.attached(), Desk::identity, 0)
                                : Result<shm::KnownProducer>(recorder.fault());
    const uint64_t next = known ? known->last + 1 : 0;
    if (known && next <= last) problem = (*desk)->publish_from(*recorder, next, next);
    scene.carry_on(child);
    return problem;
  };
  return trial;
}

TEST(KilledRecorder, OfAProducerIsTakenOverAtAnyStep) {
  EXPECT_GT(at_every_step(numbering(2), Action::die), 60u);
}

TEST(StoppedRecorder, ThatWasTakenOverAppendsNothing) {
  Trial trial = numbering(3);
  trial.stride = stop_stride;
  EXPECT_GT(at_every_step(trial, Action::stop), 60u);
}

}  // namespace
}  // namespace loopline::crash
