// Journal: the rules, one by one.
#include "journal.h"

namespace loopline::crash {

Status Author::publish(shm::Producer& producer, const Wish& wish, Random& random) {
  const uint64_t number = journal_.committed + 1;
  if (wish.abort)
    ++journal_.aborts;
  else
    journal_.intending = number;
  shm::OpenFrame frame;
  phase_ = Phase::claiming;
  Status claimed = producer.claim(wish.size, wish.deadline_ns, frame);
  if (!claimed) {
    phase_ = Phase::idle;
    return claimed;
  }
  vitals_.open_sequence = frame.claim.sequence;
  end_position_ = frame.claim.position + frame.claim.bytes;
  phase_ = Phase::open;
  const MessageHead head{writer_, wish.size, number, 0, 0};
  const Place place{frame.claim.position, frame.claim.sequence,
                    producer.attached()->header().capacity};
  write_message(frame.body, head, place, wish.forge, random);
  if (wish.while_open) wish.while_open();
  phase_ = Phase::committing;
  Status done = wish.abort ? producer.abort(frame) : producer.commit(frame, 0);
  if (!done) return done;
  if (!wish.abort) {
    if (number == 1) journal_.first_sequence = place.sequence;
    journal_.committed = number;
  }
  vitals_.open_sequence = 0;
  phase_ = Phase::idle;
  return ok();
}

bool Examiner::fail(const char* rule, const shm::FrameView& view, const MessageHead& head) {
  wrong_ = std::string(rule) + ": position " + std::to_string(view.position) + " sequence " +
           std::to_string(view.sequence) + " size " + std::to_string(view.body_size) + " writer " +
           std::to_string(head.writer) + " number " + std::to_string(head.number) +
           " after position " + std::to_string(before_.position) + " sequence " +
           std::to_string(before_.sequence) + " size " + std::to_string(before_.body_size) +
           ", reading since " + std::to_string(start_);
  if (head.writer <= writers_max) {
    wrong_ += ", its number before " + std::to_string(last_[head.writer]) + ", journal " +
              std::to_string(journals_.producers[head.writer].committed) + " of " +
              std::to_string(journals_.producers[head.writer].intending);
  }
  return false;
}

// Neighbours in sequence are neighbours in place; what lies between others is fillers, or a gap.
bool Examiner::follows(const shm::FrameView& view) {
  if (before_.sequence == 0) return view.sequence >= start_;
  if (view.sequence <= before_.sequence) return false;
  const uint64_t end = before_.position + shm::frame_size(before_.body_size);
  const uint64_t between = view.sequence - before_.sequence - 1;
  if (gap_now_ > between) return false;
  return between == 0 ? view.position == end : view.position >= end + between * shm::unit_size;
}

bool Examiner::number_fits(const MessageHead& head) {
  const ProducerJournal& journal = journals_.producers[head.writer];
  if (head.number > journal.intending) return false;
  const uint64_t last = last_[head.writer];
  if (head.number == last + 1) return true;
  if (head.number <= last) return false;
  if (last == 0) {  // new to us: either it began before we did, or its first ones fell into a gap
    const uint64_t first = journal.first_sequence;
    return kind_ == Kind::lossy || (first != 0 && first < start_);
  }
  const uint64_t jump = head.number - last - 1;
  if (jump > jumps_left_) return false;
  jumps_left_ -= jump;
  return true;
}

bool Examiner::examine(const shm::FrameView& view, uint64_t side_bytes) {
  MessageHead head{};
  if (start_ == from_first) start_ = view.sequence;
  if (!read_message(view.body, view.body_size, head)) return fail("torn", view, head);
  if (head.writer == 0 || head.writer > writers_max) return fail("no such writer", view, head);
  if (side_bytes != shm::frame_size(view.body_size))
    return fail("length is not claimed", view, head);
  if (!follows(view)) return fail("out of its place", view, head);
  if (!number_fits(head)) return fail("lost or repeated", view, head);
  last_[head.writer] = head.number;
  before_ = view;
  gap_now_ = 0;
  ++messages_;
  at_end_ = head.writer == last_writer;
  return !at_end_ || examine_end();
}

void Examiner::note_gap(const shm::Gap& gap) {
  if (gap.count == 0) return;
  gap_now_ += gap.count;
  jumps_left_ += gap.count;
  lost_ += gap.count;
  if (kind_ == Kind::lossless) wrong_ = "a lossless reader was told of a gap";
}

bool Examiner::examine_end() {
  if (kind_ == Kind::lossy) return true;
  const uint32_t count = journals_.writer_count;
  for (uint32_t writer = 1; writer <= count; ++writer) {
    const ProducerJournal& journal = journals_.producers[writer];
    const bool ours = last_[writer] != 0 || journal.first_sequence >= start_;
    const uint64_t committed = journal.committed;
    if (!ours || committed == 0 || last_[writer] >= committed) continue;
    wrong_ = "lost: writer " + std::to_string(writer) + " committed " + std::to_string(committed) +
             ", received " + std::to_string(last_[writer]) + ", first at sequence " +
             std::to_string(journal.first_sequence) + ", reading since " + std::to_string(start_);
    return false;
  }
  return true;
}

}  // namespace loopline::crash
