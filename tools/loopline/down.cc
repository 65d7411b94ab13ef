// down: asks the broker to end, and waits until nobody holds its folder.
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "broker.h"
#include "commands.h"
#include "json.h"
#include "options.h"
#include "runtime/broker/control_client.h"
#include "runtime/broker/sole_broker.h"
#include "shm/base/clock.h"
#include "shm/base/units.h"
#include "shm/file.h"
#include "signals.h"

namespace loopline::cli {
namespace {

constexpr uint64_t answer_within_ns = 5'000'000'000;
constexpr uint64_t look_every_ns = 1'000'000;

Result<std::optional<broker::BrokerIdentity>> holder_of(const std::string& folder) {
  auto holder = broker::SoleBroker::look(folder);
  if (!holder && holder.fault().code() == FaultCode::not_found) {
    return std::optional<broker::BrokerIdentity>();
  }
  return holder;
}

Status ask_to_stop(const std::string& folder, uint64_t deadline_ns) {
  const uint64_t answer_ns = std::min(deadline_ns, monotonic_ns() + answer_within_ns);
  LL_TRY(client, broker::ControlClient::connect(folder, answer_ns));
  LL_TRY(line, client.ask("stop"));
  LL_TRY_STATUS(check_broker_reply(line));
  return client.wait_for_end(deadline_ns);
}

// Only a process that holds the folder right now is meant, not one that got its number since.
Status terminate(const std::string& folder, uint32_t pid) {
  const shm::File process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (process.fd() < 0) return ok();  // gone
  LL_TRY(holder, holder_of(folder));
  if (!holder || holder->pid != pid) return ok();
  if (::syscall(SYS_pidfd_send_signal, process.fd(), SIGTERM, nullptr, 0) == 0) return ok();
  return fault_from_errno(errno, "cannot end the broker, process " + std::to_string(pid));
}

Status wait_until_free(const std::string& folder, const broker::BrokerIdentity& who,
                       uint64_t deadline_ns, const std::string& timeout) {
  for (;;) {
    LL_TRY(holder, holder_of(folder));
    if (!holder) return ok();
    if (monotonic_ns() >= deadline_ns || stop_requested()) {
      return Fault(FaultCode::timed_out,
                   "the broker, " + broker::text_of(who) + ", has not ended within " + timeout +
                       "; it may wait for the disk; see its log, or end it by kill -9: what is "
                       "durable is safe");
    }
    pause_for(look_every_ns);
  }
}

}  // namespace

Status down(Output& out, const DownArguments& arguments) {
  LL_TRY(timeout_ns, read_seconds("--timeout", arguments.timeout, {0.001, 86400}));
  LL_TRY(paths, shm::find_instance(out.dir()));
  LL_TRY(holder, holder_of(paths.folder));
  if (!holder) {
    if (out.is_json()) out.line(json_of_down(paths.folder, {}));
    out.note("no broker runs for " + paths.folder + ": there is nothing to stop");
    return ok();
  }
  const uint64_t deadline_ns = monotonic_ns() + timeout_ns;
  const Status asked = ask_to_stop(paths.folder, deadline_ns);
  if (!asked && asked.fault().code() == FaultCode::no_permission) return asked.fault();
  // One that does not listen, or speaks otherwise, understands a signal.
  if (!asked && holder->pid != 0) LL_TRY_STATUS(terminate(paths.folder, holder->pid));
  LL_TRY_STATUS(wait_until_free(paths.folder, *holder, deadline_ns, arguments.timeout));
  (void)shm::remove_instance_shm(paths);  // when no rings are left
  if (out.is_json()) {
    out.line(json_of_down(paths.folder, holder->pid));
  } else if (!out.is_quiet()) {
    out.line("the broker, " + broker::text_of(*holder) +
             ", has ended; start another: " + up_command(out.dir()));
  }
  return ok();
}

}  // namespace loopline::cli
