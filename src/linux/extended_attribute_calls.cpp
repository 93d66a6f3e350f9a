// Extended attributes. A guest sees and changes those of the `user` namespace only: others (security.capability, ACLs,
// trusted.*) mean something to the host.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include "linux/call_support.h"
#include "linux/file_calls.h"

namespace caisson::linux_personality {

namespace {

constexpr std::size_t kMaximumAttributeName = 255;     // XATTR_NAME_MAX
constexpr std::size_t kMaximumAttributeValue = 65536;  // XATTR_SIZE_MAX
constexpr std::size_t kMaximumAttributeList = 65536;   // XATTR_LIST_MAX
constexpr std::string_view kUserNamespace = "user.";

// How a call of the family names its file.
enum class Subject : std::uint8_t { kPath, kLink, kDescriptor };

std::expected<Place, std::int64_t> subject_place(LinuxProcess& process, const CallArguments& arguments,
                                                 Subject subject) {
  if (subject == Subject::kDescriptor) {
    const std::shared_ptr<OpenFile>& file = process.files.get(arguments.signed32(0));
    if (!file || file->path_only()) return std::unexpected(-EBADF);
    return place_of_descriptor(process, arguments.signed32(0));
  }
  LookUpFlags flags;
  flags.follow_last = subject == Subject::kPath;
  return place_argument(process, AT_FDCWD, arguments[0], flags);
}

// The attribute's name. Errors: −EFAULT, −ERANGE, −EOPNOTSUPP for what is not the guest's.
std::expected<std::string, std::int64_t> attribute_name(LinuxProcess& process, std::uint64_t address) {
  auto name = process.memory().read_string(address, kMaximumAttributeName);
  if (!name) return std::unexpected(-EFAULT);
  if (name->empty() || name->size() > kMaximumAttributeName) return std::unexpected(-ERANGE);
  if (!name->starts_with(kUserNamespace)) return std::unexpected(-EOPNOTSUPP);
  return std::move(*name);
}

std::int64_t set_attribute(LinuxProcess& process, const CallArguments& arguments, Subject subject) {
  const auto place = subject_place(process, arguments, subject);
  if (!place) return place.error();
  const auto name = attribute_name(process, arguments[1]);
  if (!name) return name.error();
  if (arguments[3] > kMaximumAttributeValue) return -E2BIG;
  std::vector<std::uint8_t> value(arguments[3]);
  if (process.memory().read(arguments[2], value.data(), value.size()) != value.size()) return -EFAULT;
  if (is_read_only(*place)) return -EROFS;
  const int named = named_descriptor(*place);
  if (named < 0) return -EOPNOTSUPP;
  return guest_result(
      ::setxattr(descriptor_link(named).c_str(), name->c_str(), value.data(), value.size(), arguments.signed32(4)));
}

std::int64_t get_attribute(LinuxProcess& process, const CallArguments& arguments, Subject subject) {
  const auto place = subject_place(process, arguments, subject);
  if (!place) return place.error();
  const auto name = attribute_name(process, arguments[1]);
  if (!name) return name.error();
  const int named = named_descriptor(*place);
  if (named < 0) return -ENODATA;
  std::vector<std::uint8_t> value(std::min<std::uint64_t>(arguments[3], kMaximumAttributeValue));
  const std::int64_t length =
      guest_result(::getxattr(descriptor_link(named).c_str(), name->c_str(), value.data(), value.size()));
  if (length <= 0 || value.empty()) return length;
  const auto size = static_cast<std::size_t>(length);
  return process.memory().write(arguments[2], value.data(), size) == size ? length : -EFAULT;
}

std::int64_t list_attributes(LinuxProcess& process, const CallArguments& arguments, Subject subject) {
  const auto place = subject_place(process, arguments, subject);
  if (!place) return place.error();
  const int named = named_descriptor(*place);
  if (named < 0) return 0;
  std::array<char, kMaximumAttributeList> all;
  const std::int64_t length = guest_result(::listxattr(descriptor_link(named).c_str(), all.data(), all.size()));
  if (length < 0) return length;
  std::string visible;
  for (std::size_t at = 0; at < static_cast<std::size_t>(length);) {
    const std::string_view name(all.data() + at);
    if (name.starts_with(kUserNamespace)) visible.append(name).push_back('\0');
    at += name.size() + 1;
  }
  if (arguments[2] == 0) return static_cast<std::int64_t>(visible.size());
  if (arguments[2] < visible.size()) return -ERANGE;
  return process.memory().write(arguments[1], visible.data(), visible.size()) == visible.size()
             ? static_cast<std::int64_t>(visible.size())
             : -EFAULT;
}

std::int64_t remove_attribute(LinuxProcess& process, const CallArguments& arguments, Subject subject) {
  const auto place = subject_place(process, arguments, subject);
  if (!place) return place.error();
  const auto name = attribute_name(process, arguments[1]);
  if (!name) return name.error();
  if (is_read_only(*place)) return -EROFS;
  const int named = named_descriptor(*place);
  if (named < 0) return -EOPNOTSUPP;
  return guest_result(::removexattr(descriptor_link(named).c_str(), name->c_str()));
}

}  // namespace

std::int64_t sys_setxattr(LinuxProcess& process, const CallArguments& arguments) {
  return set_attribute(process, arguments, Subject::kPath);
}
std::int64_t sys_lsetxattr(LinuxProcess& process, const CallArguments& arguments) {
  return set_attribute(process, arguments, Subject::kLink);
}
std::int64_t sys_fsetxattr(LinuxProcess& process, const CallArguments& arguments) {
  return set_attribute(process, arguments, Subject::kDescriptor);
}
std::int64_t sys_getxattr(LinuxProcess& process, const CallArguments& arguments) {
  return get_attribute(process, arguments, Subject::kPath);
}
std::int64_t sys_lgetxattr(LinuxProcess& process, const CallArguments& arguments) {
  return get_attribute(process, arguments, Subject::kLink);
}
std::int64_t sys_fgetxattr(LinuxProcess& process, const CallArguments& arguments) {
  return get_attribute(process, arguments, Subject::kDescriptor);
}
std::int64_t sys_listxattr(LinuxProcess& process, const CallArguments& arguments) {
  return list_attributes(process, arguments, Subject::kPath);
}
std::int64_t sys_llistxattr(LinuxProcess& process, const CallArguments& arguments) {
  return list_attributes(process, arguments, Subject::kLink);
}
std::int64_t sys_flistxattr(LinuxProcess& process, const CallArguments& arguments) {
  return list_attributes(process, arguments, Subject::kDescriptor);
}
std::int64_t sys_removexattr(LinuxProcess& process, const CallArguments& arguments) {
  return remove_attribute(process, arguments, Subject::kPath);
}
std::int64_t sys_lremovexattr(LinuxProcess& process, const CallArguments& arguments) {
  return remove_attribute(process, arguments, Subject::kLink);
}
std::int64_t sys_fremovexattr(LinuxProcess& process, const CallArguments& arguments) {
  return remove_attribute(process, arguments, Subject::kDescriptor);
}

}  // namespace caisson::linux_personality
