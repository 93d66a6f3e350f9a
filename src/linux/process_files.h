// The bytes of /proc: of the process (process_files.cpp) and of the machine it believes to run on (machine_files.cpp).
#pragma once

#include <string>

namespace caisson::linux_personality {

class LinuxProcess;

namespace process_files {

std::string process_link(LinuxProcess& process);  // /proc/self
std::string thread_link(LinuxProcess& process);   // /proc/thread-self
std::string executable_link(LinuxProcess& process);
std::string working_directory_link(LinuxProcess& process);
std::string auxv(LinuxProcess& process);
std::string cmdline(LinuxProcess& process);
std::string comm(LinuxProcess& process);
std::string environ(LinuxProcess& process);
std::string limits(LinuxProcess& process);
std::string maps(LinuxProcess& process);
std::string mountinfo(LinuxProcess& process);
std::string mounts(LinuxProcess& process);
std::string stat(LinuxProcess& process);
std::string statm(LinuxProcess& process);
std::string status(LinuxProcess& process);

}  // namespace process_files

namespace machine_files {

std::string cpuinfo(LinuxProcess& process);
std::string hostname(LinuxProcess& process);
std::string kernel_name(LinuxProcess& process);
std::string kernel_release(LinuxProcess& process);
std::string kernel_version(LinuxProcess& process);
std::string loadavg(LinuxProcess& process);
std::string meminfo(LinuxProcess& process);
std::string random_uuid(LinuxProcess& process);
std::string stat(LinuxProcess& process);
std::string uptime(LinuxProcess& process);
std::string version(LinuxProcess& process);

}  // namespace machine_files

}  // namespace caisson::linux_personality
