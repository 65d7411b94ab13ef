// Systemd: tells the service manager how a daemon does, by the datagrams of sd_notify(3).
#pragma once

#include <cstdint>
#include <string>

namespace loopline::broker {

// "READY=1", "STATUS=...", "WATCHDOG=1", "STOPPING=1". Nothing happens where nobody listens.
void notify_manager(const std::string& state);
// How often WATCHDOG=1 is wanted, at the latest, halved as it should be; 0: it is not.
uint64_t watchdog_period_ns();

}  // namespace loopline::broker
