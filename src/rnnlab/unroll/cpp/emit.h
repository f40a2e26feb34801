// What every generated kernel stands on: vectors of as many numbers as the processor takes at once, the functions that
// cells use, and a matrix product for few rows and a weight that is packed once per sequence.
//
// `real` (float or double) is defined before this file is included. Only the vector extensions of GCC and Clang are
// used, so that the same text serves x86 and ARM; -march=native decides how wide a vector is.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

#if defined(__AVX512F__)
constexpr int BYTES = 64, ROWS = 12;
#elif defined(__AVX__)
constexpr int BYTES = 32, ROWS = 6;
#else
constexpr int BYTES = 16, ROWS = 6;
#endif
constexpr int LANES = BYTES / sizeof(real);
constexpr int PANEL = 2;                // vectors side by side in a panel of a packed weight
constexpr int COLUMNS = PANEL * LANES;  // numbers side by side in a panel

typedef real vec __attribute__((vector_size(BYTES)));
typedef real anywhere __attribute__((vector_size(BYTES), aligned(sizeof(real)), may_alias));
typedef std::conditional_t<sizeof(real) == 4, int32_t, int64_t> integer;
typedef integer bits __attribute__((vector_size(BYTES)));

#define INLINE static inline __attribute__((always_inline))

template <int n> using Lanes = std::integral_constant<int, n>;

template <int n> INLINE vec load(const real* from, Lanes<n>) {
    if constexpr (n == LANES) return *reinterpret_cast<const anywhere*>(from);
    vec x{};
    for (int i = 0; i < n; ++i) x[i] = from[i];
    return x;
}
template <int n> INLINE void store(real* to, vec x, Lanes<n>) {
    if constexpr (n == LANES)
        *reinterpret_cast<anywhere*>(to) = x;
    else
        for (int i = 0; i < n; ++i) to[i] = x[i];
}
INLINE vec all(real x) { return x - vec{}; }

// The body of a loop over `width` numbers, for whole vectors and once for what is left.
template <int width, typename Body> INLINE void along(Body body) {
    for (long j = 0; j + LANES <= width; j += LANES) body(j, Lanes<LANES>{});
    if constexpr (width % LANES != 0) body(width - width % LANES, Lanes<width % LANES>{});
}
// The first numbers of a vector, `other` in the place of the rest.
template <int n> INLINE vec only(vec x, real other, Lanes<n>) {
    for (int i = n; i < LANES; ++i) x[i] = other;
    return x;
}
INLINE real sum_of(vec x) {
    real total = 0;
    for (int i = 0; i < LANES; ++i) total += x[i];
    return total;
}
INLINE real max_of(vec x) {
    real most = x[0];
    for (int i = 1; i < LANES; ++i) most = x[i] > most || x[i] != x[i] ? x[i] : most;
    return most;
}
// --- functions; those that no polynomial stands for here go number by number through the C library ---

template <typename Function> INLINE vec each(vec x, Function function) {
    for (int i = 0; i < LANES; ++i) x[i] = function(x[i]);
    return x;
}
INLINE vec truth(bits condition) { return condition ? all(1) : vec{}; }
INLINE vec where(vec condition, vec yes, vec no) { return condition != 0 ? yes : no; }
INLINE vec maximum(vec x, vec y) { return (x > y) | (x != x) ? x : y; }  // NaN stays NaN
INLINE vec minimum(vec x, vec y) { return (x < y) | (x != x) ? x : y; }
INLINE vec relu(vec x) { return maximum(x, vec{}); }
INLINE vec absolute(vec x) { return x < 0 ? -x : x; }
INLINE vec sign(vec x) { return truth(x > 0) - truth(x < 0); }
INLINE vec square_root(vec x) {
    return each(x, [](real v) { return std::sqrt(v); });
}
INLINE vec sine(vec x) {
    return each(x, [](real v) { return std::sin(v); });
}
INLINE vec cosine(vec x) {
    return each(x, [](real v) { return std::cos(v); });
}
INLINE vec error_function(vec x) {
    return each(x, [](real v) { return std::erf(v); });
}
INLINE vec power(vec x, vec y) {
    for (int i = 0; i < LANES; ++i) x[i] = std::pow(x[i], y[i]);
    return x;
}

INLINE bits as_bits(vec x) {
    bits b;
    std::memcpy(&b, &x, BYTES);
    return b;
}
INLINE vec as_vec(bits b) {
    vec x;
    std::memcpy(&x, &b, BYTES);
    return x;
}

// In float, e^x = 2^k (1 + p(r)) with k = round(x / ln 2) and r = x - k ln 2 in [-0.35, 0.35], where the Taylor
// polynomial p of degree 7 errs by less than 1e-8. `half` is 2^(k-1), since 2^128 is no float.
constexpr real HIGHEST = real(88.7228);  // e^x is no float beyond
struct Power {
    vec half, p;
};
INLINE Power powers(vec x) {
    const real magic = 12582912;  // 1.5 * 2^23: what is added to it is rounded to a whole number, in its last bits
    const vec shifted = x * real(1.44269504088896341) + magic;
    const vec k = shifted - magic;
    const vec r = x - k * real(0.693145751953125) - k * real(1.42860682030941723e-6);
    vec p = all(real(1.0 / 5040));
    p = p * r + real(1.0 / 720);
    p = p * r + real(1.0 / 120);
    p = p * r + real(1.0 / 24);
    p = p * r + real(1.0 / 6);
    p = p * r + real(0.5);
    p = (p * r) * r + r;
    // the last bits of `shifted` hold k; the rest of it is shifted out
    return {as_vec((as_bits(shifted) << 23) + (126 << 23)), p};
}
INLINE vec exponential(vec x) {
    if constexpr (sizeof(real) == 8) return each(x, [](real v) { return std::exp(v); });
    const auto [half, p] = powers(minimum(maximum(x, all(-86)), all(HIGHEST)));
    const vec y = (half * p + half) * 2;
    return x < -86 ? vec{} : (x > HIGHEST ? all(HUGE_VALF) : y);
}
INLINE vec exponential_minus_one(vec x) {
    if constexpr (sizeof(real) == 8) return each(x, [](real v) { return std::expm1(v); });
    const auto [half, p] = powers(minimum(maximum(x, all(-86)), all(HIGHEST)));
    const vec y = (half * p + (half - real(0.5))) * 2;
    return x > HIGHEST ? all(HUGE_VALF) : y;
}
INLINE vec sigmoid(vec x) { return 1 / (1 + exponential(-x)); }
INLINE vec tangent(vec x) {
    if constexpr (sizeof(real) == 8) return each(x, [](real v) { return std::tanh(v); });
    const vec twice = 2 * minimum(maximum(x, all(-10)), all(10));  // beyond, tanh is 1 in float
    const auto [half, p] = powers(twice);
    const vec e = (half * p + (half - real(0.5))) * 2;
    return e / (e + 2);
}
// x = 2^k m, m in [sqrt(1/2), sqrt(2)): ln x = k ln 2 + 2 artanh(s), s = (m - 1) / (m + 1)
INLINE vec logarithm(vec x) {
    if constexpr (sizeof(real) == 8) return each(x, [](real v) { return std::log(v); });
    // what is smaller than any normal number is made larger first
    const bits small = x < real(1.17549435e-38);
    const bits b = as_bits(small ? x * 8388608 : x);
    vec m = as_vec((b & 0x7fffff) | 0x3f800000);
    vec k = __builtin_convertvector((b >> 23) - 127, vec) - (small ? all(23) : vec{});
    k = m > real(1.41421356) ? k + 1 : k;
    m = m > real(1.41421356) ? m / 2 : m;
    const vec s = (m - 1) / (m + 1), z = s * s;
    const vec series = z * (real(1.0 / 3) + z * (real(1.0 / 5) + z * (real(1.0 / 7) + z * real(1.0 / 9))));
    const vec y = k * real(0.693147180559945) + 2 * (s + s * series);
    return x > 0 ? (x < HUGE_VALF ? y : x) : (x == 0 ? all(-HUGE_VALF) : all(NAN));
}
INLINE vec logarithm_of_one_plus(vec x) {
    if constexpr (sizeof(real) == 8) return each(x, [](real v) { return std::log1p(v); });
    const vec sum = 1 + x, kept = sum - 1;  // what of x the sum could hold
    return sum == 1 ? x : (x < HUGE_VALF ? logarithm(sum) * (x / kept) : x);
}

// --- products: c = a w, (rows, depth) times (depth, columns) ---

// A weight, (columns, depth) or transposed (depth, columns), as panels of COLUMNS columns, zeros where there are none.
struct Packed {
    std::vector<real> panels;
    long depth, columns;
    Packed(const real* weight, long columns, long depth, bool transposed) : depth(depth), columns(columns) {
        panels.resize((columns + COLUMNS - 1) / COLUMNS * COLUMNS * depth);
        for (long c = 0; c < columns; ++c)
            for (long k = 0; k < depth; ++k)
                panels[c / COLUMNS * COLUMNS * depth + k * COLUMNS + c % COLUMNS] =
                    transposed ? weight[k * columns + c] : weight[c * depth + k];
    }
};

template <int rows>
static void block(const real* __restrict a, long a_row, const real* __restrict w, long depth, real* __restrict c,
                  long c_row, long columns, bool add) {
    vec sum[rows][PANEL];
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 2
        for (int v = 0; v < PANEL; ++v) sum[r][v] = vec{};
#pragma GCC unroll 1
    for (long k = 0; k < depth; ++k, w += COLUMNS) {
        vec panel[PANEL];
#pragma GCC unroll 2
        for (int v = 0; v < PANEL; ++v) panel[v] = load(w + v * LANES, Lanes<LANES>{});
#pragma GCC unroll 16
        for (int r = 0; r < rows; ++r) {
            const real x = a[r * a_row + k];
#pragma GCC unroll 2
            for (int v = 0; v < PANEL; ++v) sum[r][v] += x * panel[v];
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 2
        for (int v = 0; v < PANEL; ++v) {
            real* to = c + r * c_row + v * LANES;
            const long left = columns - v * LANES;
            if (left >= LANES)
                store(to, add ? sum[r][v] + load(to, Lanes<LANES>{}) : sum[r][v], Lanes<LANES>{});
            else
                for (long i = 0; i < left; ++i) to[i] = sum[r][v][i] + (add ? to[i] : 0);
        }
}

// Panel by panel, so that a panel is read from the nearest cache for all rows.
static void multiply(const real* a, long a_row, long rows, const Packed& w, real* c, long c_row, bool add) {
    const real* panel = w.panels.data();
    for (long p = 0; p < w.columns; p += COLUMNS, panel += COLUMNS * w.depth) {
        long r = 0;
#define TAKE(count) \
    for (; r + count <= rows; r += count) \
        block<count>(a + r * a_row, a_row, panel, w.depth, c + r * c_row + p, c_row, w.columns - p, add)
        TAKE(ROWS);
        TAKE(4);
        TAKE(2);
        TAKE(1);
#undef TAKE
    }
}
