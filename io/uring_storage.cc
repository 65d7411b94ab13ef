// UringStorage: submission, completion, and one sleep for writes and bells.
#include "uring_storage.h"

#include <liburing.h>
#include <linux/futex.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "shm/base/clock.h"

namespace loopline::io {
namespace {

constexpr uint8_t futex_waitv_opcode =
    53;  // IORING_OP_FUTEX_WAITV; liburing 2.3 has no name for it
constexpr uint64_t sleep_token = ~0ull;
constexpr uint64_t cancel_token = ~0ull - 1;

class UringStorage final : public Storage {
 public:
  explicit UringStorage(uint32_t depth) : depth_(depth), writes_(depth) {}
  ~UringStorage() override;
  Status open();

  const char* name() const override { return "io_uring"; }
  uint32_t depth() const override { return depth_; }
  void submit(const WriteRequest& request) override;
  size_t reap(std::span<WriteDone> done) override;
  void wait(std::span<const BellTicket> bells, uint64_t deadline_ns) override;

 private:
  struct Flight {  // a write that is out
    uint64_t token = 0;
    uint64_t bytes = 0;
    bool is_used = false;
  };
  io_uring_sqe* sqe();
  void arm_sleep(std::span<const BellTicket> bells);
  void disarm_sleep();
  void wait_for_completion(uint64_t deadline_ns);
  bool take(const io_uring_cqe& cqe, WriteDone& done);

  uint32_t depth_;
  io_uring ring_{};
  bool is_open_ = false;
  bool has_futex_ = false;
  bool is_sleeping_ = false;  // a FUTEX_WAITV is out
  uint32_t flying_ = 0;
  uint32_t unsent_ = 0;
  std::vector<Flight> writes_;
  futex_waitv places_[bells_max] = {};
};

bool has_opcode(io_uring& ring, int opcode) {
  io_uring_probe* const probe = io_uring_get_probe_ring(&ring);
  if (probe == nullptr) return false;
  const bool is_there = io_uring_opcode_supported(probe, opcode) != 0;
  io_uring_free_probe(probe);
  return is_there;
}

Status UringStorage::open() {
  io_uring_params params{};
  params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                 IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
  const uint32_t entries = depth_ + 4;  // writes, a sleep and its end
  int error = io_uring_queue_init_params(entries, &ring_, &params);
  if (error == -EINVAL) {  // kernels before 6.1
    params = {};
    error = io_uring_queue_init_params(entries, &ring_, &params);
  }
  if (error < 0) {
    return Fault(FaultCode::unsupported,
                 std::string("io_uring is not to be had here: ") + std::strerror(-error));
  }
  is_open_ = true;
  has_futex_ = has_opcode(ring_, futex_waitv_opcode);
  if (has_opcode(ring_, IORING_OP_WRITE)) return ok();
  return Fault(FaultCode::unsupported, "this kernel's io_uring cannot write files");
}

UringStorage::~UringStorage() {
  if (is_open_) io_uring_queue_exit(&ring_);
}

io_uring_sqe* UringStorage::sqe() {
  io_uring_sqe* const entry = io_uring_get_sqe(&ring_);
  LL_CHECK(entry != nullptr);  // as many as there can be
  ++unsent_;
  return entry;
}

void UringStorage::submit(const WriteRequest& request) {
  const auto flight =
      std::find_if(writes_.begin(), writes_.end(), [](const Flight& one) { return !one.is_used; });
  LL_CHECK(flight != writes_.end());
  *flight = {request.token, request.bytes.size(), true};
  io_uring_sqe* const entry = sqe();
  io_uring_prep_write(entry, request.file->fd(), request.bytes.data(),
                      static_cast<unsigned>(request.bytes.size()), request.offset);
  entry->rw_flags = RWF_DSYNC;
  io_uring_sqe_set_data64(entry, static_cast<uint64_t>(flight - writes_.begin()));
  ++flying_;
}

// False: it was not a write.
bool UringStorage::take(const io_uring_cqe& cqe, WriteDone& done) {
  if (cqe.user_data == cancel_token) return false;
  if (cqe.user_data == sleep_token) {
    is_sleeping_ = false;
    return false;
  }
  Flight& flight = writes_[cqe.user_data];
  done.token = flight.token;
  done.error = cqe.res < 0 ? -cqe.res : 0;
  if (cqe.res >= 0 && static_cast<uint64_t>(cqe.res) != flight.bytes) done.error = EIO;
  flight.is_used = false;
  --flying_;
  return true;
}

size_t UringStorage::reap(std::span<WriteDone> done) {
  if (unsent_ != 0) io_uring_submit(&ring_);
  unsent_ = 0;
  size_t count = 0;
  io_uring_cqe* cqe = nullptr;
  while (count < done.size() && flying_ + (is_sleeping_ ? 1u : 0u) != 0 &&
         io_uring_peek_cqe(&ring_, &cqe) == 0) {
    if (take(*cqe, done[count])) ++count;
    io_uring_cqe_seen(&ring_, cqe);
  }
  return count;
}

void UringStorage::arm_sleep(std::span<const BellTicket> bells) {
  const size_t count = std::min(bells.size(), bells_max);
  for (size_t index = 0; index < count; ++index) {
    places_[index] = {bells[index].ticket, reinterpret_cast<uint64_t>(&bells[index].bell->doorbell),
                      FUTEX_32, 0};
  }
  io_uring_sqe* const entry = sqe();
  io_uring_prep_rw(futex_waitv_opcode, entry, 0, places_, static_cast<unsigned>(count), 0);
  io_uring_sqe_set_data64(entry, sleep_token);
  is_sleeping_ = true;
}

// The next sleep draws other tickets.
void UringStorage::disarm_sleep() {
  if (!is_sleeping_) return;
  io_uring_sqe* const entry = sqe();
  io_uring_prep_cancel64(entry, sleep_token, 0);
  io_uring_sqe_set_data64(entry, cancel_token);
  io_uring_submit(&ring_);
  unsent_ = 0;
}

void UringStorage::wait_for_completion(uint64_t deadline_ns) {
  const uint64_t now_ns = monotonic_ns();
  const uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
  __kernel_timespec timeout{static_cast<int64_t>(left_ns / 1'000'000'000),
                            static_cast<int64_t>(left_ns % 1'000'000'000)};
  io_uring_cqe* cqe = nullptr;
  io_uring_submit_and_wait_timeout(&ring_, &cqe, 1, &timeout, nullptr);
  unsent_ = 0;
}

void UringStorage::wait(std::span<const BellTicket> bells, uint64_t deadline_ns) {
  if (unsent_ != 0) io_uring_submit(&ring_);
  unsent_ = 0;
  if (flying_ == 0 && !is_sleeping_) return sleep_by(bells, deadline_ns);
  if (bells.size() > bells_max) {
    deadline_ns = std::min(deadline_ns, monotonic_ns() + crowded_sleep_ns);
  }
  // A sleep that is still being ended stands in for this one: it is about to complete.
  if (has_futex_ && !is_sleeping_ && !bells.empty()) arm_sleep(bells);
  wait_for_completion(deadline_ns);
  disarm_sleep();
}

}  // namespace

Result<std::unique_ptr<Storage>> make_uring_storage(uint32_t depth) {
  auto storage = std::make_unique<UringStorage>(depth);
  LL_TRY_STATUS(storage->open());
  return std::unique_ptr<Storage>(std::move(storage));
}

}  // namespace loopline::io
