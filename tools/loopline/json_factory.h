// JSON of factories, and of what an edit or a purge did.
#pragma once

#include <string>
#include <vector>

#include "shm/edit.h"
#include "shm/factory.h"

namespace loopline::cli {

// A factory as `ls` and `info` tell it.
struct FactoryFacts {
  std::string name;
  bool is_added = false;  // else it is known by its stations alone
  shm::FactorySettings settings;
  shm::FactoryUse use;
  std::string damage;  // why its file cannot be read
};

std::string json_of(const FactoryFacts& factory);
std::string json_of(const std::vector<FactoryFacts>& factories);
std::string json_of_factory_removed(const std::string& factory);
std::string json_of_edited(const std::string& station, const shm::StationChange& change);
std::string json_of_purged(const std::string& station, const shm::StationChange& change);

}  // namespace loopline::cli
