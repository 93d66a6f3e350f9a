// Five bodies under gravitation, a hundred steps a round: divisions and square roots of doubles.
#include <bit>

#include "kernel.h"

namespace {

struct Body {
  double x, y, z;
  double velocity_x, velocity_y, velocity_z;
  double mass;
};

// A heavy body and four light ones on wide orbits; lengths, times and masses in units that make G = 1.
constexpr Body kStart[] = {
    {0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 39.0},       {5.0, -1.0, -0.1, 0.6, 2.7, -0.02, 0.037},
    {8.3, 4.1, -0.4, -1.0, 1.8, 0.008, 0.011},  {12.9, -15.1, -0.2, 1.1, 0.9, -0.01, 0.002},
    {15.4, -25.9, 0.2, 1.0, 0.6, -0.03, 0.002},
};
constexpr std::size_t kBodies = sizeof(kStart) / sizeof(kStart[0]);
constexpr double kStep = 0.01;

void advance(Body (&bodies)[kBodies]) {
  for (std::size_t first = 0; first < kBodies; ++first) {
    for (std::size_t second = first + 1; second < kBodies; ++second) {
      const double x = bodies[first].x - bodies[second].x;
      const double y = bodies[first].y - bodies[second].y;
      const double z = bodies[first].z - bodies[second].z;
      const double squared = x * x + y * y + z * z;
      const double pull = kStep / (squared * __builtin_sqrt(squared));
      bodies[first].velocity_x -= x * bodies[second].mass * pull;
      bodies[first].velocity_y -= y * bodies[second].mass * pull;
      bodies[first].velocity_z -= z * bodies[second].mass * pull;
      bodies[second].velocity_x += x * bodies[first].mass * pull;
      bodies[second].velocity_y += y * bodies[first].mass * pull;
      bodies[second].velocity_z += z * bodies[first].mass * pull;
    }
  }
  for (Body& body : bodies) {
    body.x += kStep * body.velocity_x;
    body.y += kStep * body.velocity_y;
    body.z += kStep * body.velocity_z;
  }
}

}  // namespace

std::uint64_t run(std::uint64_t rounds) {
  Body bodies[kBodies];
  for (std::size_t index = 0; index < kBodies; ++index) bodies[index] = kStart[index];
  for (std::uint64_t round = 0; round < rounds; ++round) {
    for (int step = 0; step < 100; ++step) advance(bodies);
  }
  std::uint64_t checksum = 0;
  for (const Body& body : bodies)
    checksum = kernel::mix(checksum, std::bit_cast<std::uint64_t>(body.x + body.y + body.z));
  return checksum;
}
