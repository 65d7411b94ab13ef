// ring dump: every frame in the window in order, with its first bytes.
#include "ring_dump.h"

#include <fmt/format.h>

#include "commands.h"
#include "json.h"
#include "person.h"
#include "shm/base/units.h"
#include "signals.h"
#include "viewer.h"

namespace loopline::cli {
namespace {

constexpr size_t head_bytes = 16;
constexpr size_t head_bytes_wide = 64;
constexpr const char* row_form = "{:>10}  {:>12}  {:>10}  {:<8}  {:<30}  {}";

// "6f 6e 65  |one|"
std::string head_text(const std::vector<std::byte>& head) {
  if (head.empty()) return "";
  std::string hex, text;
  for (const std::byte byte : head) {
    const auto value = std::to_integer<unsigned>(byte);
    hex += fmt::format("{:02x} ", value);
    text += value >= 0x20 && value < 0x7f ? static_cast<char>(value) : '.';
  }
  return hex + " |" + text + "|";
}

// The word's flags, each with a comma before it.
std::string flags_text(const shm::FrameFacts& frame) {
  std::string text;
  if ((frame.word_flags & shm::word_next_verify) != 0) text += ", next-verify";
  if ((frame.word_flags & shm::word_filler) != 0) text += ", filler";
  if ((frame.word_flags & shm::word_mimic) != 0) text += ", mimic";
  return text;
}

// What a frame is about, in the last column.
std::string contents_text(const shm::FrameFacts& frame) {
  if (frame.is_open) {
    if (frame.slot == shm::seal_owner) return "the seal, being made";
    return fmt::format("being filled by producer {}, {}, {}", frame.slot, person_words(frame.owner),
                       state_text(frame.owner));
  }
  if (!frame.oddity.empty()) return "makes no sense: " + frame.oddity;
  switch (frame.type) {
    case shm::FrameType::aborted:
      return fmt::format("no message: producer {} gave it up", frame.slot);
    case shm::FrameType::dead:
      return "no message: its producer died and it was completed for it";
    case shm::FrameType::seal:
      return "the end of this ring";
    default:
      return head_text(frame.head);
  }
}

void print_frame(Output& out, const shm::FrameFacts& frame) {
  if (frame.missed != 0) {
    out.line(fmt::format("... {} overwritten while we read", counted(frame.missed, "frame")));
  }
  std::string line = fmt::format(
      row_form, frame.at.second, frame.at.first,
      frame.is_open ? format_size(frame.bytes) : format_count(frame.payload_bytes) + "B",
      type_text(frame), frame.is_open ? "-" : utc_text(frame.timestamp_ns), contents_text(frame));
  if (out.is_wide() && !frame.is_open) {
    line += fmt::format("  frame {}, extension {}B, producer {}{}", format_size(frame.bytes),
                        frame.extension_bytes, frame.slot, flags_text(frame));
  }
  line.erase(line.find_last_not_of(' ') + 1);
  const bool is_odd = !frame.oddity.empty();
  out.line(is_odd          ? out.paint(Color::red, line)
           : frame.is_open ? out.paint(Color::yellow, line)
                           : line);
}

// Why the walk ended where it did; nothing to say about a good end.
std::string end_text(const shm::FramesEnd& end) {
  switch (end.why) {
    case shm::FramesEnd::Why::damaged:
      return fmt::format("the walk stops at sequence {}: {}", end.at.second, end.text);
    case shm::FramesEnd::Why::overtaken:
      return fmt::format(
          "the walk stops at sequence {}: producers overwrite the ring faster than "
          "it can be read; its newest frames: --from {}",
          end.at.second, end.at.second);
    case shm::FramesEnd::Why::enough:
    case shm::FramesEnd::Why::frontier:
      break;
  }
  return "";
}

}  // namespace

const char* type_text(const shm::FrameFacts& frame) {
  if (frame.is_open) return "open";
  switch (frame.type) {
    case shm::FrameType::message:
      return "message";
    case shm::FrameType::aborted:
      return "aborted";
    case shm::FrameType::dead:
      return "dead";
    case shm::FrameType::seal:
      return "seal";
  }
  return "unknown";
}

Status ring_dump(Output& out, const RingDumpArguments& arguments) {
  LL_TRY(viewer, Viewer::open(out.dir()));
  shm::InspectOptions no_walk;
  no_walk.walk = false;
  LL_TRY(snapshot, viewer.station(arguments.station, no_walk, arguments.partition));
  shm::FramesOptions options;
  options.first_sequence = arguments.from;
  options.head_bytes_max = out.is_wide() || out.is_json() ? head_bytes_wide : head_bytes;
  uint64_t count = 0;
  const auto each = [&](const shm::FrameFacts& frame) {
    if (!out.is_json() && count == 0) {
      out.line(out.paint(Color::dim, fmt::format(row_form, "SEQUENCE", "POSITION", "SIZE", "TYPE",
                                                 "TIME", "FIRST BYTES")));
    }
    if (out.is_json()) {
      out.line(json_of(frame));
    } else {
      print_frame(out, frame);
    }
    return ++count != arguments.limit && !out.is_closed() && !stop_requested();
  };
  LL_TRY(end, viewer.frames(snapshot, options, each));
  const std::string why = end_text(end);
  if (why.empty()) {
    if (count == 0) out.note("no frames there; see: loopline ring show " + arguments.station);
    return ok();
  }
  return Fault(FaultCode::corrupted, "station \"" + name_of(snapshot) + "\": " + why);
}

}  // namespace loopline::cli
