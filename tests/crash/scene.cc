// Scene: how children are started and awaited, and what must hold once one is gone.
#include "scene.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <new>
#include <span>

#include "shm/base/clock.h"
#include "shm/lock.h"

namespace loopline::crash {
namespace {

constexpr uint64_t millisecond = 1'000'000;
// Far beyond what anything here takes; a test that gets there has found somebody stuck.
constexpr uint64_t patience_ms = 10'000;
constexpr uint64_t held_up_ms = 2;
constexpr useconds_t look_us = 50;
constexpr size_t run_max = 16;
constexpr int exit_problem = 2;
constexpr uint32_t slots_each = 4;
constexpr const char* station = "scene";

uint64_t soon(uint64_t ms) { return monotonic_ns() + ms * millisecond; }

}  // namespace

Scene::Scene(const SceneOptions& options) : options_(options), random_(options.capacity) {
  void* memory =
      ::mmap(nullptr, sizeof(Stage), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) give_up("no memory for the stage", std::strerror(errno));
  stage_ = new (memory) Stage;
  const shm::RingOptions ring = ring_options();
  if (options.files) {
    instance_ = std::make_unique<PrivateInstance>();
    attached_ = instance_->create(ring);
  } else {
    auto roster = need(shm::Roster::create_anonymous(), "cannot make a roster");
    auto mapping = need(shm::Mapping::create_anonymous(ring, roster->uuid()), "cannot make a ring");
    attached_ = shm::Attached::make(std::move(mapping), roster, std::nullopt);
  }
  stage_->platter.start = attached_->ring().window_start();
  if (!options.witnessed) return;
  shm::ConsumerOptions wish;
  wish.lossy = options.lossy;
  wish.from = From::earliest;
  witness_.emplace(need(shm::Consumer::open(attached_, wish), "no witness"));
  witness_examiner_.emplace(stage_->journals,
                            options.lossy ? Examiner::Kind::lossy : Examiner::Kind::lossless,
                            witness_->at().second);
}

shm::RingOptions Scene::ring_options() const {
  shm::RingOptions ring;
  ring.station = station;
  ring.capacity = options_.capacity;
  ring.exclusive = options_.exclusive;
  ring.producer_slots = ring.cursor_slots = slots_each;
  ring.timestamp = shm::TimestampKind::off;
  ring.evict_after_ns = options_.evict_after_ns;
  if (options_.logged) ring.storage = shm::Storage::file;
  if (options_.logged) ring.log_uuid = {1, 2};
  return ring;
}

Scene::~Scene() {
  for (const pid_t child : children_) {
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  }
  witness_.reset();
  producer_.reset();
  reader_.reset();
  flush_.reset();
  attached_.reset();
  ::munmap(stage_, sizeof(Stage));
}

std::string Scene::fail(const char* what, const Fault& fault) const {
  return std::string(what) + ": " + name_of(fault.code()) + ": " + fault.message();
}

std::shared_ptr<shm::Attached> Scene::attach(shm::Access access) const {
  if (instance_) return need(instance_->attach(station, access), "cannot attach");
  auto mapping =
      need(shm::Mapping::attach_fd(attached_->mapping().fd(), station, access), "cannot map");
  // The roster is one object per process: an alias of the parent's, which a fork copies.
  return shm::Attached::make(std::move(mapping),
                             std::shared_ptr<shm::Roster>(attached_, &attached_->roster()),
                             std::nullopt);
}

pid_t Scene::start(const Plan& plan, const Role& role) {
  stage_->vitals.locks = 0;
  const uint32_t writer = ++stage_->journals.writer_count;
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) give_up("cannot fork", std::strerror(errno));
  if (child != 0) {
    children_.push_back(child);
    return child;
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  keep_vitals(&stage_->vitals);
  writer_ = writer;
  // The parent's handles are not ours: only forgotten, never closed.
  for (auto* handle : {&witness_, &reader_}) new (handle) std::optional<shm::Consumer>;
  new (&producer_) std::optional<shm::Producer>;
  new (&flush_) std::optional<Flush>;
  author_.reset();
  plan_ = plan;
  arm(plan);
  const std::string problem = role(*this);
  disarm();
  if (problem.empty()) ::_exit(0);
  std::strncpy(stage_->problem, problem.c_str(), sizeof stage_->problem - 1);
  ::_exit(exit_problem);
}

End Scene::wait(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, WUNTRACED) < 0 && errno == EINTR) {
  }
  if (WIFSTOPPED(status)) return End::stopped;
  std::erase(children_, child);
  if (WIFSIGNALED(status)) {
    if (WTERMSIG(status) != SIGKILL && stage_->problem[0] == 0) {
      std::strncpy(stage_->problem, ::strsignal(WTERMSIG(status)), sizeof stage_->problem - 1);
    }
    return End::died;
  }
  return End::finished;
}

End Scene::run(const Plan& plan, const Role& role) { return wait(start(plan, role)); }

void Scene::ready() {
  disarm();
  stage_->cue = 1;
  while (stage_->cue != 2) ::usleep(look_us);
  arm(plan_);
}

bool Scene::await_ready(pid_t child) {
  return await(child, [this] { return stage_->cue == 1; });
}

bool Scene::await(pid_t child, const std::function<bool()>& condition) {
  const uint64_t deadline = soon(patience_ms);
  while (!condition()) {
    siginfo_t ended{};
    ::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WSTOPPED | WNOHANG | WNOWAIT);
    if (ended.si_pid == child || monotonic_ns() > deadline) return false;
    ::usleep(look_us);
  }
  return true;
}

bool Scene::ends(pid_t child) {
  (void)await(child, [] { return false; });  // ended, stopped, or out of patience
  siginfo_t ended{};
  ::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOHANG | WNOWAIT);
  return ended.si_pid == child && wait(child) == End::finished;
}

bool Scene::await_asleep(pid_t child, const std::function<bool()>& condition) {
  const std::string path = "/proc/" + std::to_string(child) + "/stat";
  return await(child, [&] {
    if (!condition()) return false;
    std::ifstream file(path);
    std::string pid, name, state;
    return (file >> pid >> name >> state) && state == "S";
  });
}

End Scene::carry_on(pid_t child) {
  if (options_.exclusive) retire();
  ::kill(child, SIGCONT);
  // It may want room or a slot: the others go on as well.
  await(child, [this] {
    const std::string problem = read_all();
    if (!problem.empty())
      std::strncpy(stage_->problem, problem.c_str(), sizeof stage_->problem - 1);
    return !problem.empty();
  });
  return wait(child);
}

void Scene::go_round(uint64_t laps) {
  const uint64_t units = laps * options_.capacity / shm::unit_size;
  for (uint64_t count = 0; count < units / 2; ++count) {
    if (!publish(1, false, held_up_ms).empty()) return;
    if (!read_all().empty()) return;
  }
}

void Scene::forget() {
  witness_.reset();
  reader_.reset();
  producer_.reset();
}

std::string Scene::open_producer() {
  if (producer_) return "";
  if (writer_ == 0) writer_ = ++stage_->journals.writer_count;
  auto opened = shm::Producer::open(attached_);
  if (!opened) return fail("no producer", opened.fault());
  producer_.emplace(std::move(*opened));
  producer_->wait_kind = shm::WaitKind::adaptive;
  author_.emplace(stage_->journals, writer_, stage_->phase, stage_->vitals);
  return "";
}

std::string Scene::publish(uint32_t count, bool abort, uint64_t ms) {
  const std::string problem = open_producer();
  if (!problem.empty()) return problem;
  for (uint32_t index = 0; index < count; ++index) {
    Author::Wish wish;
    const uint64_t size_max = producer_->attached()->header().message_max;
    const uint64_t bound = below(random_, 4) == 0 ? size_max : 160;
    wish.size =
        static_cast<uint32_t>(message_size_min + below(random_, bound - message_size_min + 1));
    wish.abort = abort;
    wish.deadline_ns = soon(ms);
    const Status done = author_->publish(*producer_, wish, random_);
    if (!done) return fail("publish", done.fault());
  }
  return "";
}

std::string Scene::publish_holding(const std::function<void()>& while_open) {
  const std::string problem = open_producer();
  if (!problem.empty()) return problem;
  Author::Wish wish;
  wish.size = static_cast<uint32_t>(producer_->attached()->header().message_max);
  wish.deadline_ns = soon(patience_ms);
  wish.while_open = while_open;
  const Status done = author_->publish(*producer_, wish, random_);
  return done ? "" : fail("publish", done.fault());
}

std::string Scene::publish_durably(uint32_t count) {
  std::string problem = open_producer();
  if (problem.empty()) producer_->wait_kind = shm::WaitKind::park;
  for (uint32_t index = 0; index < count && problem.empty(); ++index) {
    problem = publish_holding({});
    if (!problem.empty()) break;
    const auto durable = producer_->wait_durable(author_->end_position(), soon(patience_ms));
    if (!durable) return fail("wait for the disk", durable.fault());
    const Platter& platter = stage_->platter;
    const bool is_there = platter.start.first + platter.bytes >= author_->end_position();
    if (!is_there) problem = "durable, and the disk does not have it";
  }
  return problem;
}

std::shared_ptr<shm::Attached> Scene::oldest_not_on_disk() const {
  if (!instance_) return attached_;
  const shm::StationName name{"main", station};
  const shm::Directory& directory = instance_->directory();
  for (const uint32_t generation : need(directory.generations(name, 0), "no generations")) {
    auto mapping = directory.attach_generation(name, 0, generation, shm::Access::produce);
    if (!mapping) continue;
    auto ring =
        shm::Attached::make(std::move(*mapping), need(directory.roster(), "no roster"), directory);
    const Pair durable = shm::durable_of(ring->ring());
    if (durable.first != shm::no_cursor.first && durable.first != 0) return ring;
  }
  return nullptr;
}

std::string Scene::flush_from_now_on() {
  auto oldest = oldest_not_on_disk();
  if (!oldest) return "no ring to flush";
  flush_.emplace(stage_->platter);
  return flush_->take_over(std::move(oldest));
}

std::string Scene::fill() {
  for (;;) {
    const std::string problem = publish(1, false, 0);
    if (problem.find("full") != std::string::npos) return "";
    if (!problem.empty()) return problem;
  }
}

namespace {

// Where eviction may come meanwhile, only what was still there at release() counts.
std::vector<std::byte> copied(std::span<shm::FrameView> views) {
  std::vector<std::byte> copies;
  for (const shm::FrameView& view : views) {
    copies.resize(copies.size() + view.body_size);
    copy_from_shared(copies.data() + copies.size() - view.body_size, view.body, view.body_size);
  }
  const std::byte* at = copies.data();
  for (shm::FrameView& view : views) {
    view.body = at;
    at += view.body_size;
  }
  return copies;
}

}  // namespace

std::string Scene::examine_run(shm::Consumer& consumer, Examiner& examiner, bool& got) {
  shm::FrameView views[run_max];
  const auto run = consumer.read(views);
  if (!run) return fail("read", run.fault());
  const bool is_copied = consumer.lossy() || options_.evict_after_ns != 0;
  std::vector<std::byte> copies;
  if (options_.evict_after_ns != 0) {
    copies = copied({views, *run});
    const Status released = consumer.release();
    if (!released) return fail("release", released.fault());
  }
  examiner.note_gap(consumer.take_gap());
  for (size_t index = 0; index < *run; ++index) {
    const shm::FrameView& view = views[index];
    const shm::Ring& ring = consumer.attached()->ring();
    const uint64_t side = ring.side(view.position).load(std::memory_order_relaxed);
    const uint64_t claimed = is_copied ? shm::frame_size(view.body_size) : ring.side_bytes(side);
    if (!examiner.examine(view, claimed)) break;
  }
  got = *run != 0;
  return examiner.wrong();
}

// Until nothing more comes; what a dead producer holds open is repaired on the way.
std::string Scene::read_all() {
  const std::string flushed = flush_ ? flush_->everything() : "";
  if (!flushed.empty()) return "flusher: " + flushed;
  if (!witness_) return "";
  for (;;) {
    bool got = false;
    const std::string problem = examine_run(*witness_, *witness_examiner_, got);
    if (!problem.empty()) return "witness: " + problem;
    if (got) continue;
    const auto more = witness_->wait(1);  // long past: looks around once and does not sleep
    if (!more) return fail("witness waits", more.fault());
    if (!*more) return "";
    // Fillers count as "more" too: only a read that moves on keeps us here.
    const Pair before = witness_->at();
    bool again = false;
    const std::string next = examine_run(*witness_, *witness_examiner_, again);
    if (!next.empty()) return "witness: " + next;
    if (!again && witness_->at() == before) return "";
  }
}

std::string Scene::open_reader(const shm::ConsumerOptions& options, shm::Access access) {
  auto opened = shm::Consumer::open(attach(access), options);
  if (!opened) return fail("no reader", opened.fault());
  reader_.emplace(std::move(*opened));
  const bool latest = options.from == From::latest;
  reader_examiner_.emplace(stage_->journals,
                           options.lossy ? Examiner::Kind::lossy : Examiner::Kind::lossless,
                           latest ? Examiner::from_first : reader_->at().second);
  return "";
}

std::string Scene::read_some() {
  bool got = false;
  return examine_run(*reader_, *reader_examiner_, got);
}

std::string Scene::read_the_rest() {
  bool got = true;
  std::string problem;
  while (got && problem.empty()) problem = examine_run(*reader_, *reader_examiner_, got);
  return problem;
}

std::string Scene::seal(bool exclusive) {
  shm::RingOptions next = ring_options();
  next.exclusive = exclusive;
  const Status sealed = attached_->seal_with_successor(next);
  return sealed ? "" : fail("seal", sealed.fault());
}

std::string Scene::seal_newest() {
  renew();
  return seal(options_.exclusive);
}

std::string Scene::slots_are_free() {
  attached_->janitor().sweep();
  const shm::SeatId mine = need(roster().my_seat(), "no seat");
  const shm::Ring& at = ring();
  uint32_t gating = 0;
  for (uint32_t slot = 0; slot < at.producer_slots; ++slot) {
    const uint64_t owner = at.producers[slot].owner.load(std::memory_order_relaxed);
    if (owner != shm::nobody && owner != mine)
      return "producer slot " + std::to_string(slot) + " is not free";
  }
  for (uint32_t slot = 0; slot < at.cursor_slots; ++slot) {
    const uint64_t owner = at.cursors[slot].owner.load(std::memory_order_relaxed);
    const Pair cursor = at.cursors[slot].cursor.load(std::memory_order_relaxed);
    if (owner != shm::nobody && owner != mine)
      return "cursor slot " + std::to_string(slot) + " is not free";
    if (owner == shm::nobody && cursor != shm::no_cursor) return "a free cursor slot gates";
    gating += cursor != shm::no_cursor;
  }
  for (int count = 0; count < 2; ++count) {  // twice: whoever inherits must leave it whole
    const shm::LockGuard lock(at.control->lock.mutex, shm::try_lock(at.control->lock.mutex));
    if (!lock) return "nobody can take the ring lock any more";
  }
  const uint32_t expected = witness_ && !options_.lossy ? 1 : 0;
  return gating == expected ? "" : std::to_string(gating) + " cursors gate";
}

// The last message, and what every reader must know when it comes.
std::string Scene::finish() {
  Author last(stage_->journals, last_writer, stage_->phase, stage_->vitals);
  Author::Wish wish;
  wish.forge = false;
  wish.deadline_ns = soon(patience_ms);
  const Status done = last.publish(*producer_, wish, random_);
  if (!done) return fail("last message", done.fault());
  if (options_.logged) return last_is_on_disk();
  if (!witness_) return "";
  const uint64_t deadline = soon(patience_ms);
  while (!witness_examiner_->at_end()) {
    const std::string problem = read_all();
    if (!problem.empty()) return problem;
    if (monotonic_ns() > deadline) return "the witness never got the last message";
  }
  return "";
}

// A lossy witness may have missed some; the disk has them all.
std::string Scene::last_is_on_disk() {
  std::string problem = read_all();
  if (!problem.empty()) return problem;
  bool is_whole = false;
  problem = examine(stage_->platter, stage_->journals, is_whole);
  if (!problem.empty()) return problem;
  return is_whole ? "" : "the last message is not on disk";
}

std::string Scene::aftermath(uint64_t laps) {
  if (stage_->problem[0] != 0) return std::string("child: ") + stage_->problem;
  std::string problem = options_.logged && !flush_ ? flush_from_now_on() : "";
  if (problem.empty()) problem = read_all();
  if (!problem.empty()) return problem;
  // Every place is claimed anew over what the dead one left.
  for (uint64_t bytes = 0; bytes < laps * options_.capacity; bytes += 128) {
    problem = publish(1, below(random_, 8) == 0);
    if (problem.empty()) problem = read_all();
    if (!problem.empty()) return problem;
  }
  problem = finish();
  if (!problem.empty()) return problem;
  attached_ = producer_->attached();  // a sealed ring was followed
  return slots_are_free();
}

}  // namespace loopline::crash
