// What PTX instructions do, and the threads that run them. `translate.py` includes this before the
// functions it makes; an instruction `mul.wide.s32` becomes a call of `mul_wide<int32_t>`.
//
// Compiled with -fwrapv (integers wrap, as on a device) and -ffp-contract=off.
#pragma once
#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

using u8 = uint8_t; using u16 = uint16_t; using u32 = uint32_t; using u64 = uint64_t;
using s8 = int8_t; using s16 = int16_t; using s32 = int32_t; using s64 = int64_t;
using f32 = float; using f64 = double; using pred = bool;

struct Fault { std::string what; };

// ---- Registers: bits that every instruction reads as its own type.

template <class To, class From> To as(From value) {
    if constexpr (std::is_same_v<To, From>) return value;
    else if constexpr (sizeof(To) == sizeof(From)) { To to; memcpy(&to, &value, sizeof to); return to; }
    else { static_assert(std::is_integral_v<To> && std::is_integral_v<From>); return (To)value; }
}
template <class R, class V> void put(R& reg, V value) { reg = as<R>(value); }
template <class T> u64 address_of(const T& variable) { return (u64)&variable; }

// ---- Arithmetic. Integer types are the signed or unsigned ones of the opcode.

template <class T> T mov(T a) { return a; }
template <class T> T cvta(T a) { return a; }
template <class T> T add(T a, T b) { return a + b; }
template <class T> T sub(T a, T b) { return a - b; }
template <class T> T add_rn(T a, T b) { return a + b; }
template <class T> T sub_rn(T a, T b) { return a - b; }
template <class T> T mul_rn(T a, T b) { return a * b; }
template <class T> T mul_lo(T a, T b) { return a * b; }
template <class T> T mad_lo(T a, T b, T c) { return a * b + c; }
template <class T> T fma_rn(T a, T b, T c) { return std::fma(a, b, c); }
template <class T> T div_rn(T a, T b) { return a / b; }
template <class T> T sqrt_rn(T a) { return std::sqrt(a); }
template <class T> T div(T a, T b) { if (!b) throw Fault{"a division of integers by 0"}; return a / b; }
template <class T> T rem(T a, T b) { if (!b) throw Fault{"a division of integers by 0"}; return a % b; }
template <class T> T neg(T a) { return -a; }
template <class T> T abs(T a) { return a < 0 ? -a : a; }
template <> inline f64 abs(f64 a) { return std::fabs(a); }
template <> inline f32 abs(f32 a) { return std::fabs(a); }
// Of a number and a NaN the number, which is what fmin and fmax return.
template <class T> T min(T a, T b) { if constexpr (std::is_floating_point_v<T>) return std::fmin(a, b); else return b < a ? b : a; }
template <class T> T max(T a, T b) { if constexpr (std::is_floating_point_v<T>) return std::fmax(a, b); else return a < b ? b : a; }
// Leading bits of the reciprocal. What uses it refines it, so that a last bit of `pow` may still be another
// than on a device.
template <class T> T rcp_approx_ftz(T a) { return as<f64>(as<u64>(1.0 / a) & 0xffffffff00000000ull); }

template <class T> auto mul_wide(T a, T b) {
    using Wide = std::conditional_t<sizeof(T) == 4, std::conditional_t<std::is_signed_v<T>, s64, u64>,
                                    std::conditional_t<std::is_signed_v<T>, s32, u32>>;
    return (Wide)a * (Wide)b;
}
template <class T> T mul_hi(T a, T b) { return (T)(((__int128)a * b) >> 8 * sizeof(T)); }

template <class T> T and_(T a, T b) { return a & b; }
template <class T> T or_(T a, T b) { return a | b; }
template <class T> T xor_(T a, T b) { return a ^ b; }
template <class T> T not_(T a) { if constexpr (std::is_same_v<T, bool>) return !a; else return ~a; }
template <class T> T shl(T a, u32 n) { return n < 8 * sizeof(T) ? a << n : 0; }
template <class T> T shr(T a, u32 n) { return a >> std::min<u32>(n, 8 * sizeof(T) - 1) >> (std::is_unsigned_v<T> && n >= 8 * sizeof(T)); }
template <class T> T selp(T a, T b, bool p) { return p ? a : b; }
template <class T> u32 popc(T a) { return __builtin_popcountll(a); }
template <class T> u32 clz(T a) { return a ? __builtin_clzll(a) - (64 - 8 * sizeof(T)) : 8 * sizeof(T); }
template <class T> u32 bfind_shiftamt(T a) { return a ? clz(a) : 0xffffffffu; }
template <class T> T brev(T a) { T r = 0; for (size_t i = 0; i < 8 * sizeof(T); ++i, a >>= 1) r = r << 1 | (a & 1); return r; }
template <class T> T bfi(T a, T b, u32 at, u32 n) {
    T mask = shl<T>(n < 8 * sizeof(T) ? shl<T>(1, n) - 1 : (T)-1, at);
    return (b & ~mask) | (shl<T>(a, at) & mask);
}

template <class To, class From> To cvt(From a) { return (To)a; }
template <class To, class From> To cvt_rn(From a) { static_assert(std::is_floating_point_v<To>); return (To)a; }
#define ROUNDING(NAME, FUNCTION) \
    template <class To, class From> To NAME(From a) { static_assert(std::is_same_v<To, From>); return FUNCTION(a); }
ROUNDING(cvt_rni, std::nearbyint)
ROUNDING(cvt_rzi, std::trunc)
ROUNDING(cvt_rmi, std::floor)
ROUNDING(cvt_rpi, std::ceil)

template <class T> bool setp_eq(T a, T b) { return a == b; }
template <class T> bool setp_ne(T a, T b) { return a < b || a > b; }  // of a NaN: false
template <class T> bool setp_lt(T a, T b) { return a < b; }
template <class T> bool setp_le(T a, T b) { return a <= b; }
template <class T> bool setp_gt(T a, T b) { return a > b; }
template <class T> bool setp_ge(T a, T b) { return a >= b; }
template <class T> bool setp_num(T a, T b) { return a == a && b == b; }
template <class T> bool setp_nan(T a, T b) { return !setp_num(a, b); }
template <class T> bool setp_equ(T a, T b) { return !setp_ne(a, b); }  // u: also where one is NaN
template <class T> bool setp_neu(T a, T b) { return a != b; }
template <class T> bool setp_ltu(T a, T b) { return !(a >= b); }
template <class T> bool setp_leu(T a, T b) { return !(a > b); }
template <class T> bool setp_gtu(T a, T b) { return !(a <= b); }
template <class T> bool setp_geu(T a, T b) { return !(a < b); }

// What NVRTC makes under CuPy: float32 takes numbers too small for full precision as 0.
template <class T> T flushed(T a) { return std::fpclassify(a) == FP_SUBNORMAL ? std::copysign((T)0, a) : a; }
template <class T> T abs_ftz(T a) { return abs(flushed(a)); }
#define FLUSHING(NAME) \
    template <class T> bool NAME##_ftz(T a, T b) { return NAME(flushed(a), flushed(b)); }
FLUSHING(setp_eq) FLUSHING(setp_ne) FLUSHING(setp_lt) FLUSHING(setp_le) FLUSHING(setp_gt) FLUSHING(setp_ge)
FLUSHING(setp_equ) FLUSHING(setp_neu) FLUSHING(setp_ltu) FLUSHING(setp_leu) FLUSHING(setp_gtu) FLUSHING(setp_geu)

// ---- Memory. A device refuses an access that is not aligned to its size, vectors included.

inline void check_aligned(u64 address, size_t size) {
    if (address % size) throw Fault{"an access of " + std::to_string(size) + " bytes that is not aligned"};
}

template <class T, size_t N> std::array<T, N> load(u64 address) {
    check_aligned(address, N * sizeof(T));
    std::array<T, N> result;
    for (size_t i = 0; i < N; ++i) __atomic_load((T*)address + i, &result[i], __ATOMIC_RELAXED);
    return result;
}
template <class T, size_t N> void store(u64 address, std::array<T, N> values) {
    check_aligned(address, N * sizeof(T));
    for (size_t i = 0; i < N; ++i) __atomic_store((T*)address + i, &values[i], __ATOMIC_RELAXED);
}
template <class T> T atom_add(u64 address, T value) { return __atomic_fetch_add((T*)address, value, __ATOMIC_RELAXED); }
template <class T> T atom_cas(u64 address, T expected, T value) {
    __atomic_compare_exchange_n((T*)address, &expected, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    return expected;
}

// ---- Threads. One that meets the others of its warp returns true from `run`, and goes on from
// `resume` with the value of another.

constexpr u32 WARP = 32;

struct Thread {
    u32 tid_x, ctaid_x, ctaid_y, ntid_x, nctaid_x, nctaid_y;
    u32 resume = 0, value = 0, source = 0;  // a shuffle: my value, and the lane whose value I take
};

// Every shuffle of ours names all lanes: a part of a warp is not understood, and none may be missing.
inline void check_whole_warp(u32 clamp, u32 lanes) {
    if (clamp != WARP - 1 || lanes != 0xffffffffu) throw Fault{"a shuffle of a part of a warp"};
}
inline void shuffle(std::vector<Thread>& lanes, size_t waiting) {
    std::array<u32, WARP> values{};
    for (size_t lane = 0; lane < lanes.size(); ++lane) {
        if (waiting != WARP || lanes[lane].resume != lanes[0].resume) throw Fault{"a warp's threads do not meet"};
        values[lane] = lanes[lane].value;
    }
    for (Thread& lane : lanes) lane.value = values[lane.source];
}

struct Launch { s64 blocks_x, blocks_y, block_size; s32 order, seed; };
enum Order { IN_ORDER, SHUFFLED, CONCURRENT };
constexpr int WORKERS = 4;

inline Thread thread_of(const Launch& at, s64 id) {
    s64 block = id / at.block_size;
    return {(u32)(id % at.block_size), (u32)(block % at.blocks_x), (u32)(block / at.blocks_x),
            (u32)at.block_size, (u32)at.blocks_x, (u32)at.blocks_y};
}

template <class Kernel> void run_warp(const Launch& at, s64 warp, const u8* arguments, std::mt19937& random) {
    auto kernels = std::make_unique<Kernel[]>(WARP);
    std::vector<Thread> threads;
    std::vector<size_t> running(WARP), waiting;
    std::iota(running.begin(), running.end(), 0);
    for (size_t lane : running) threads.push_back(thread_of(at, warp * WARP + lane));
    while (!running.empty()) {
        if (at.order != IN_ORDER) std::shuffle(running.begin(), running.end(), random);
        for (size_t i : running)
            if (kernels[i].run(threads[i], arguments)) waiting.push_back(i);
        if (!waiting.empty()) shuffle(threads, waiting.size());
        running.swap(waiting);
        waiting.clear();
    }
}

template <class Kernel> void run_alone(const Launch& at, s64 id, const u8* arguments) {
    Kernel kernel;
    Thread thread = thread_of(at, id);
    kernel.run(thread, arguments);
}

// Run every thread; return what went wrong, or an empty string.
template <class Kernel> std::string launch(const Launch& at, const u8* arguments) {
    const s64 total = at.blocks_x * at.blocks_y * at.block_size / (Kernel::MEETS ? WARP : 1);
    std::vector<s64> order(total);
    std::iota(order.begin(), order.end(), 0);
    std::mt19937 random(at.seed);
    if (at.order != IN_ORDER) std::shuffle(order.begin(), order.end(), random);
    std::atomic<s64> next{0};
    std::mutex lock;
    std::string problem;
    auto work = [&](u32 seed) {
        std::mt19937 mine(seed);
        try {
            for (s64 i; (i = next++) < total;)
                if constexpr (Kernel::MEETS) run_warp<Kernel>(at, order[i], arguments, mine);
                else run_alone<Kernel>(at, order[i], arguments);
        } catch (const Fault& fault) {
            std::lock_guard<std::mutex> held(lock);
            problem = fault.what;
            next = total;
        }
    };
    if (at.order != CONCURRENT) { work(at.seed); return problem; }
    std::vector<std::thread> workers;
    for (int i = 0; i < WORKERS; ++i) workers.emplace_back(work, at.seed + i);
    for (std::thread& worker : workers) worker.join();
    return problem;
}
