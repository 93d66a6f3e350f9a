// fmt's own functions, compiled in. Debian has fmt as a shared library only, and loading that, with the shared C++ library
// that it needs, costs every start of `caisson` 0.4 ms of its 1.5.
#include <fmt/format-inl.h>

template FMT_API auto fmt::detail::thousands_sep_impl<char>(locale_ref) -> thousands_sep_result<char>;
template FMT_API auto fmt::detail::decimal_point_impl<char>(locale_ref) -> char;
