// Station verbs: what station.cc and station_edit.cc have in common.
#pragma once

#include <loopline/station.h>

#include <string>

#include "commands.h"
#include "viewer.h"

namespace loopline::cli {

// The options that were given, each read or refused by name.
Result<StationOptions> read_station_options(const StationAddArguments& arguments);

// What a person is asked, and what a program is told that did not say --yes.
struct Question {
  std::string loss;    // "station \"x\" and its messages would be gone"
  std::string text;    // "Remove station x and its messages?"
  std::string spared;  // "station \"x\" was kept"
};
// Yes from a person; a program has to say --yes.
Status confirm(Output& out, bool yes, const Question& question);

// What an edit left half done, as a sentence; empty when there is nothing.
std::string unfinished_edit(StationRings rings);

}  // namespace loopline::cli
