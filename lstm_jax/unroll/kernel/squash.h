// Squashings that compilers turn into vector code: no branch, no call.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

namespace lstm {

// e^x to two units in the last place: 2^n e^r with |r| <= ln 2 / 2, the Taylor polynomial of degree 7.
inline float exponential(float x) {
  x = x > 88.0f ? 88.0f : x;
  x = x < -87.0f ? -87.0f : x;
  const float shifted = x * 1.44269504f + 12582912.0f;  // 1.5 * 2^23: the sum rounds to whole numbers
  const float n = shifted - 12582912.0f;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float sum = 1.9841270e-4f;
  sum = sum * r + 1.3888889e-3f;
  sum = sum * r + 8.3333333e-3f;
  sum = sum * r + 4.1666667e-2f;
  sum = sum * r + 1.6666667e-1f;
  sum = sum * r + 0.5f;
  sum = sum * r + 1.0f;
  sum = sum * r + 1.0f;
  int32_t bits;
  std::memcpy(&bits, &shifted, 4);
  bits = (bits + 127) << 23;  // the low bits of `shifted` hold n
  float power;
  std::memcpy(&power, &bits, 4);
  return sum * power;
}

inline float logistic(float x) { return 1.0f / (1.0f + exponential(-x)); }

// Near zero the polynomial of S. Moshier's Cephes library, which keeps the relative error small.
inline float tangent(float x) {
  const float square = x * x;
  float sum = -5.70498872745e-3f;
  sum = sum * square + 2.06390887954e-2f;
  sum = sum * square - 5.37397155531e-2f;
  sum = sum * square + 1.33314422036e-1f;
  sum = sum * square - 3.33332819422e-1f;
  const float near = sum * square * x + x;
  const float far = 1.0f - 2.0f / (1.0f + exponential(2.0f * x));
  return std::fabs(x) < 0.625f ? near : far;
}

inline double logistic(double x) { return 1.0 / (1.0 + std::exp(-x)); }
inline double tangent(double x) { return std::tanh(x); }

// In the order of CHOICES["block_input"] in lstm_jax/cell/variants.py.
enum Squash { kTanh, kIdentity, kLogistic, kCentered1, kCentered2, kRelu };

template <typename T>
void squash(Squash kind, int64_t count, const T* from, T* to) {
  switch (kind) {
    case kTanh:
      for (int64_t j = 0; j < count; ++j) to[j] = tangent(from[j]);
      return;
    case kIdentity:
      std::memmove(to, from, count * sizeof(T));
      return;
    case kLogistic:
      for (int64_t j = 0; j < count; ++j) to[j] = logistic(from[j]);
      return;
    case kCentered1:  // 2 s(x) - 1
      for (int64_t j = 0; j < count; ++j) to[j] = tangent(from[j] * T(0.5));
      return;
    case kCentered2:  // 4 s(x) - 2
      for (int64_t j = 0; j < count; ++j) to[j] = T(2) * tangent(from[j] * T(0.5));
      return;
    case kRelu:
      for (int64_t j = 0; j < count; ++j) to[j] = from[j] < T(0) ? T(0) : from[j];  // NaN stays
      return;
  }
}

// The derivative as a function of the squashed value, times `error`.
template <typename T>
void slope(Squash kind, int64_t count, const T* value, T* error) {
  switch (kind) {
    case kTanh:
      for (int64_t j = 0; j < count; ++j) error[j] *= T(1) - value[j] * value[j];
      return;
    case kIdentity:
      return;
    case kLogistic:
      for (int64_t j = 0; j < count; ++j) error[j] *= value[j] * (T(1) - value[j]);
      return;
    case kCentered1:
      for (int64_t j = 0; j < count; ++j) error[j] *= T(0.5) * (T(1) - value[j] * value[j]);
      return;
    case kCentered2:
      for (int64_t j = 0; j < count; ++j) error[j] *= T(1) - T(0.25) * value[j] * value[j];
      return;
    case kRelu:
      for (int64_t j = 0; j < count; ++j) error[j] = value[j] > T(0) ? error[j] : T(0);
      return;
  }
}

}  // namespace lstm
