// Scene: one small ring, a witness who reads it all, and children who die or stop at a chosen step.
//
//   Scene scene({.capacity = 4096});
//   scene.run({Action::die, 17}, [](Scene& here) { return here.publish(3); });
//   EXPECT_EQ(scene.aftermath(), "");
//
// The role runs in a child, which is killed at its 17th step; then the others go on and nothing is
// wrong.
//
// Verbs give problems as words; an empty text is none. They work in the parent and in a child
// alike: each process has handles of its own.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "flush.h"
#include "instance.h"
#include "journal.h"
#include "step.h"

namespace loopline::crash {

struct SceneOptions {
  uint64_t capacity = 4096;
  bool exclusive = false;
  bool lossy = false;   // the witness does not gate
  bool files = false;   // a station in folders of its own: at least 64 KiB
  bool logged = false;  // a file station: its log gates, readers do not; set lossy too
  bool witnessed = true;
  uint64_t evict_after_ns = 0;
};

// What parent and children share besides the ring.
struct Stage {
  Journals journals;
  Vitals vitals;
  Platter platter;
  std::atomic<Phase> phase;
  std::atomic<uint32_t> cue;  // 1: the child is ready, 2: it may go
  char problem[1024];
};

enum class End { died, stopped, finished };

class Scene {
 public:
  explicit Scene(const SceneOptions& options);
  ~Scene();
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;

  using Role = std::function<std::string(Scene&)>;
  // Does `role` in a child under `plan`, until it dies, stops or is done.
  End run(const Plan& plan, const Role& role);
  // The same in two steps.
  pid_t start(const Plan& plan, const Role& role);
  End wait(pid_t child);
  // In a child: lives on unharmed until the parent says `go`, and only then follows its plan.
  void ready();
  // In the parent: until the child is ready; false when it ended.
  bool await_ready(pid_t child);
  void go() { stage_->cue = 2; }
  // In the parent: whether the child ends by itself, in time.
  bool ends(pid_t child);
  // In the parent: until the child sleeps in the kernel.
  bool await_asleep(pid_t child, const std::function<bool()>& condition);
  // In the parent: until `condition` holds; false when the child ended, or did not get there.
  bool await(pid_t child, const std::function<bool()>& condition);
  // Publishes and reads for `laps` laps, or until the stopped child holds everybody up.
  void go_round(uint64_t laps);
  // Lets the stopped child go on, to its end; the witness reads on.
  End carry_on(pid_t child);

  // Everybody else goes on for `laps`, everything journalled is read, every slot becomes free: ""
  // or the problem.
  std::string aftermath(uint64_t laps = 3);

  // Verbs. `writer` is chosen before a fork; 0 lets the parent publish.
  std::string publish(uint32_t count, bool abort = false, uint64_t patience_ms = 10'000);
  std::string read_all();
  // One message of the largest size, with `while_open` done between its claim and its commit.
  std::string publish_holding(const std::function<void()>& while_open);
  // Publishes until the ring is full of what the witness has not read.
  std::string fill();
  // Of a logged scene: messages of the largest size, each awaited until the disk has it.
  std::string publish_durably(uint32_t count);
  // Takes the log over; from now on the parent flushes whenever it reads.
  std::string flush_from_now_on();
  // Whoever flushes here is another one.
  void stop_flushing() { flush_.reset(); }
  Flush& flush() { return *flush_; }
  std::string fail(const char* what, const Fault& fault) const;

  const std::shared_ptr<shm::Attached>& attached() const { return attached_; }
  const shm::Ring& ring() const { return attached_->ring(); }
  shm::Roster& roster() const { return attached_->roster(); }
  const PrivateInstance& instance() const { return *instance_; }
  size_t ring_file_count() const { return instance_ ? instance_->file_count() : 0; }
  // The ring as another process would map it.
  std::shared_ptr<shm::Attached> attach(shm::Access access) const;
  Stage& stage() { return *stage_; }
  Random& random() { return random_; }
  shm::Producer& producer() { return *producer_; }
  std::string open_producer();
  // A reader of the child's own, examined like the witness.
  std::string open_reader(const shm::ConsumerOptions& options, shm::Access access);
  shm::Consumer& reader() { return *reader_; }
  std::string read_some();
  // Until nothing more comes.
  std::string read_the_rest();
  void close_reader() { reader_.reset(); }
  // In a child: follows its plan from here on, in this thread.
  void rearm() { arm(plan_); }
  // Closes the producer, as one does who leaves in peace.
  void retire() { producer_.reset(); }
  // Closes all handles, as a forked child does that ends in peace.
  void forget();
  std::string seal(bool exclusive);
  // From now on new handles begin in whatever ring is the newest.
  void renew() { attached_ = attach(shm::Access::produce); }
  // Seals whatever ring is the newest by now.
  std::string seal_newest();
  shm::Consumer& witness() { return *witness_; }
  bool everything_was_read() { return witness_examiner_->examine_end(); }

 private:
  std::string examine_run(shm::Consumer& consumer, Examiner& examiner, bool& got);
  std::string slots_are_free();
  std::string finish();
  std::string last_is_on_disk();
  std::shared_ptr<shm::Attached> oldest_not_on_disk() const;
  shm::RingOptions ring_options() const;

  SceneOptions options_;
  Stage* stage_ = nullptr;
  std::unique_ptr<PrivateInstance> instance_;
  std::shared_ptr<shm::Attached> attached_;
  std::optional<shm::Consumer> witness_;
  std::optional<Examiner> witness_examiner_;
  std::optional<shm::Consumer> reader_;
  std::optional<Examiner> reader_examiner_;
  std::optional<shm::Producer> producer_;
  std::optional<Flush> flush_;
  std::optional<Author> author_;
  uint32_t writer_ = 0;
  Random random_;
  Plan plan_;
  std::vector<pid_t> children_;
};

}  // namespace loopline::crash
