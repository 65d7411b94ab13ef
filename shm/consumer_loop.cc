// Consumer: in an event loop: a bell file of its own, and a mark that says it is to be rung.
#include <sys/epoll.h>
#include <sys/stat.h>

#include <cerrno>

#include "armed.h"
#include "consumer.h"

namespace loopline::shm {

// Has a bell file in our ring, watched by `epoll`. Of the ring before it there may be one, which is
// readable until now.
Status Consumer::listen(int epoll) {
  LL_TRY_STATUS(ensure_here());
  if (bell_file_ && !bell_is_old_) return ok();
  if (ghost_) {
    return Fault(FaultCode::no_permission,
                 "station \"" + attached_->name() +
                     "\" may only be read: nobody can ring for one who may not say that it waits; "
                     "use wait(), or ask for write permission");
  }
  struct stat ring_file;
  if (::fstat(attached_->mapping().fd(), &ring_file) != 0) {
    return fault_from_errno(errno,
                            "cannot examine the ring of station \"" + attached_->name() + "\"");
  }
  LL_TRY(made, BellFile::make(attached_->ring(), slot_, ring_file.st_mode & 0777));
  epoll_event event{};
  event.events = EPOLLIN;
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, made.fd(), &event) != 0) {
    const int error = errno;
    remove_bell_file(attached_->ring(), slot_);
    return fault_from_errno(error,
                            "cannot watch the bell of station \"" + attached_->name() + "\"");
  }
  // Said, since closing does not take it off while a forked child has it open.
  if (bell_file_) ::epoll_ctl(epoll, EPOLL_CTL_DEL, bell_file_->fd(), nullptr);
  bell_file_ = std::make_unique<BellFile>(std::move(made));
  bell_is_old_ = may_idle_ = false;
  return ok();
}

void Consumer::stop_listening(int epoll) {
  if (!bell_file_ || fork_generation_ != fork_generation()) return;
  ::epoll_ctl(epoll, EPOLL_CTL_DEL, bell_file_->fd(), nullptr);
  take_down_bell();
  note_parked(false);
  may_idle_ = !options_.lossy;
}

// Drained, armed, and looked again; readable if there is news. Whether nothing came since the last
// time and nobody holds our next frame open.
Result<bool> Consumer::arm() {
  Status step = clean_up_ahead();
  // What was passed over would keep producers waiting.
  if (step && unreleased_) step = publish(reader_.at());
  if (!step) {
    bell_file_->ring();
    return step.fault();
  }
  bell_file_->drain();
  mark_ = next_mark(mark_);
  if (!shm::arm(attached_->ring(), slot_, mark_, [this] { return has_news(); })) {
    bell_file_->ring();
  }
  const Pair at = reader_.at();
  uint32_t owner_slot = 0;
  const bool is_open = attached_->janitor().owner_of_open(at.first, owner_slot) != nobody;
  const bool is_calm = at.second == armed_at_ && !is_open;
  armed_at_ = at.second;
  return is_calm;
}

// Only while the slot is ours: on a thread that lives nobody reaps it. If we die here: its reaper
// removes the file.
void Consumer::take_down_bell() {
  if (ensure_here()) remove_bell_file(attached_->ring(), slot_);
  bell_file_.reset();
  bell_is_old_ = false;
}

// To our handle on the next ring: readable, and without a name, until that one has its own. Nothing
// is armed there yet.
void Consumer::hand_on_bell(Consumer& there) {
  remove_bell_file(attached_->ring(), slot_);
  bell_file_->ring();
  there.bell_file_ = std::move(bell_file_);
  there.bell_is_old_ = true;
  there.may_idle_ = false;
  there.mark_ = mark_;
}

}  // namespace loopline::shm
