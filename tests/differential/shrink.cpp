#include "differential/shrink.h"

#include <algorithm>
#include <span>
#include <utility>

namespace caisson::differential {
namespace {

using fuzz::Item;
using fuzz::ItemKind;
using fuzz::Items;
using fuzz::Program;
using Predicate = std::function<bool(const Program&)>;

bool loops_are_balanced(std::span<const Item> items) {
  int depth = 0;
  for (const Item& item : items) {
    if (item.kind == ItemKind::kLoopBegin) ++depth;
    if (item.kind == ItemKind::kLoopEnd && --depth < 0) return false;
  }
  return depth == 0;
}

// Keeps `candidate` where it still fails.
bool accept(Program& program, Program candidate, const Predicate& fails) {
  if (!fails(candidate)) return false;
  program = std::move(candidate);
  return true;
}

// Removes runs of items, long ones first. `select` names the list within a program.
template <class Select>
bool remove_runs(Program& program, Select select, const Predicate& fails) {
  bool changed = false;
  for (std::size_t length = select(program).size(); length > 0; length /= 2) {
    for (std::size_t begin = 0; begin + length <= select(program).size();) {
      const Items& items = select(program);
      if (!loops_are_balanced(std::span(items).subspan(begin, length))) {
        ++begin;
        continue;
      }
      Program candidate = program;
      Items& fewer = select(candidate);
      fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(begin),
                  fewer.begin() + static_cast<std::ptrdiff_t>(begin + length));
      if (accept(program, std::move(candidate), fails)) {
        changed = true;
      } else {
        ++begin;
      }
    }
  }
  return changed;
}

// Unwraps loops (their items stay, once) or else makes them run once.
bool simplify_loops(Program& program, const Predicate& fails) {
  bool changed = false;
  for (std::size_t i = 0; i < program.items.size(); ++i) {
    if (program.items[i].kind != ItemKind::kLoopBegin) continue;
    std::size_t end = i;
    for (int depth = 0; end < program.items.size(); ++end) {
      if (program.items[end].kind == ItemKind::kLoopBegin) ++depth;
      if (program.items[end].kind == ItemKind::kLoopEnd && --depth == 0) break;
    }
    Program unwrapped = program;
    unwrapped.items.erase(unwrapped.items.begin() + static_cast<std::ptrdiff_t>(end));
    unwrapped.items.erase(unwrapped.items.begin() + static_cast<std::ptrdiff_t>(i));
    if (accept(program, std::move(unwrapped), fails)) {
      changed = true;
      continue;
    }
    if (program.items[i].span == 1) continue;
    Program once = program;
    once.items[i].span = 1;
    changed |= accept(program, std::move(once), fails);
  }
  return changed;
}

}  // namespace

Program shrink(Program program, const Predicate& fails) {
  bool changed = true;
  while (changed) {
    changed = remove_runs(program, [](auto& any) -> auto& { return any.items; }, fails);
    changed |= simplify_loops(program, fails);
    for (std::size_t i = 0; i < program.functions.size(); ++i) {
      changed |= remove_runs(program, [i](auto& any) -> auto& { return any.functions[i]; }, fails);
    }
  }
  return program;
}

}  // namespace caisson::differential
