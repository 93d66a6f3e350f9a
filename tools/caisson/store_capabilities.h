// The capabilities of a store, for caisson store: they lie in its folder `capabilities`.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "caisson/store.h"
#include "command_line.h"
#include "verb.h"

namespace caisson::cli {

// --store DIR, and what it is where it is not given.
void add_store_option(CommandLine& command_line, std::string& directory);
Result<void> resolve_store_directory(std::string& directory);

std::string capability_directory(const std::string& store);

// The store that is there; null where there is none.
Result<std::shared_ptr<CapabilityStore>> find_capabilities(const std::string& store);

struct InspectedCapability {
  StoredCapability stored;
  std::string reason;  // why it is damaged; empty where it is good, or was not looked into
};

struct CapabilityList {
  bool is_there = false;  // whether there is a store of them
  std::vector<InspectedCapability> all;
  std::uint64_t damaged = 0;
};

// Everything that is there; `is_full`: read and checked.
Result<CapabilityList> list_capabilities(const std::string& store, bool is_full);

nlohmann::ordered_json to_json(const CapabilityList& list, bool is_full);
void print_capability_rows(const CapabilityList& list);
void print_damaged_capabilities(const CapabilityList& list);
void print_capability_sum(const std::string& store, const CapabilityList& list);

struct CapabilityTask {
  VerbText text;
  int (*run)(const VerbText& text, const Arguments& arguments);
};
// put, get, release.
std::span<const CapabilityTask> capability_tasks();

}  // namespace caisson::cli
