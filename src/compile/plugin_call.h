// Calls of code that is not the backend's own (a guest compiler, a store, a callback): whatever it throws becomes an Error.
#pragma once

#include <exception>
#include <new>
#include <string>
#include <type_traits>

#include "caisson/result.h"

namespace caisson::compile {

// `function` answers a Result; `what` names it for people, e.g. "the compiler".
template <class Function>
std::invoke_result_t<Function> call_plugin(const char* what, Function&& function) {
  try {
    return function();
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::kOutOfMemory, std::string(what) + " ran out of memory");
  } catch (const std::exception& error) {
    return fail(ErrorCode::kInternal, std::string(what) + " threw: " + error.what());
  } catch (...) {
    return fail(ErrorCode::kInternal, std::string(what) + " threw something that is no std::exception");
  }
}

}  // namespace caisson::compile
