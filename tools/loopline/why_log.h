// Why log: what keeps the messages of a file station from becoming durable, and who was asked.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "broker.h"
#include "finding.h"
#include "two_looks.h"

namespace loopline::cli {

// What the broker says, or that it says nothing.
struct BrokerWord {
  std::optional<BrokerPicture> picture;
  std::optional<std::string> silent;  // who holds the folder and does not answer; may be empty
};
// Nobody is asked about rings that go to no disk, or whose flusher is known to be stopped; one that
// hangs is not waited for long.
BrokerWord ask_broker(const std::vector<TwoLooks>& all, const std::string& folder);
// Whether any of these goes to disk.
bool has_log(const std::vector<TwoLooks>& all);

// True: something does, and the finding says what.
bool find_log(const TwoLooks& looks, const BrokerWord& broker, std::vector<Finding>& findings);

}  // namespace loopline::cli
