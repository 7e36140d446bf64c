// What the kernels share: records as they lie in device memory, what a trade does to an account, and
// the walk of one combination.
//
// Compiled by NVRTC or nvcc with --fmad=false, so that a comparison at a threshold decides as it does
// on a CPU; where there is no device, the tests run their PTX on the CPU (tests/support/ptx).
// N_THRESHOLDS, FIELDS and MAX_AXES are compile-time options (gpu_engine/device.py). All arithmetic is
// float64. Python sees the records in gpu_engine/layouts.py.
#pragma once

// A deviation of daily returns at or below this part of the largest is rounding (gpu_engine/metrics.py).
#define NO_DEVIATION 1e-12
#define UNDEFINED __longlong_as_double(0x7ff8000000000000LL)
#define INFINITE __longlong_as_double(0x7ff0000000000000LL)
#define NEVER 0x7fffffff

// A product decides whether a comparison can hold at all, with room for rounding; only then is the
// quotient of the rules computed, since division is the dearest step of a trade. The quotient rounds by
// parts of itself, and 1 minus it by parts of 1.
__device__ inline double nearly(double share) { return share * (1.0 + 1e-12) + 1e-15; }

// Exit reasons, in the order in which they are tried (exits rules §5), but for the last, which takes the
// place of a stop (exits rules §8.4); records.REASONS.
enum Reason { STOP_GAP, TARGET_GAP, SIGNAL, STOP, TARGET, TIME, END, LIQUIDATION };

// Fields of records.METRICS, in order.
enum Field {
    NET_PROFIT, SHARPE_RATIO, SORTINO_RATIO, MAX_DRAWDOWN, CALMAR_RATIO, SAMPLE_SIZE,
    WIN_RATE, AVG_WIN, AVG_LOSS, PROFIT_FACTOR, N_DAYS, N_FIELDS
};

// What the walk reads of an outcome: 16 bytes, one load. The exit's day saves a dependent look-up. The
// exit bar of a row that its setting drops is -1 (exits rules §3).
struct alignas(16) Outcome {
    double ret;
    int exit_bar;
    int exit_day;
};

// What the walk reads of an event row: 16 bytes, one load.
struct alignas(16) Row {
    int entry_bar;
    int entry_day;
    int setup_bar;
    int entry;
};

// Bars [start, end) of the market, and what every combination in it needs (fills rules §8).
struct Window {
    int start;
    int end;
    int first_day;
    int n_days;
    double last_close;
    double last_funding;  // sum of the rates up to the last bar; 0 on spot
};

// Costs and limits (fills rules §9, exits rules §6, §8); max_daily_loss is +inf and losses_limit NEVER when
// switched off. `borrow` is what a short pays a bar; a liquidation and a bankruptcy are multiples of the
// entry (records.RiskLimits).
struct Rules {
    double fee_rate;
    double target_fee;
    double slippage;
    double exposure;
    double max_daily_loss;
    double borrow;
    double long_liquidation;
    double short_liquidation;
    double long_bankruptcy;
    double short_bankruptcy;
    int losses_limit;
};

// The market on the device: rows of all tables one after another, outcomes entry by exit setting.
struct Market {
    const long long* row_start;
    const Row* rows;
    const double* features;  // N_THRESHOLDS columns of n_rows, multiplied by the sense
    const Outcome* outcomes; // outcomes[entry * n_exits + setting]
    const signed char* entry_side;
    const double* entry_price;
    const double* entry_funding;  // sum of the rates up to the entry bar
    long long n_rows;
    int n_exits;
};

// `funding` sums the rates since the entry; `bars_held` counts both ends (exits rules §6).
__device__ inline double net_return(const Rules& rules, double side, double entry, double price,
                                    double exit_fee, double funding, int bars_held) {
    double ret = side * (price - entry) / entry - (rules.fee_rate + exit_fee * price / entry) - side * funding;
    return side < 0.0 ? ret - rules.borrow * bars_held : ret;
}

// One load of 16 bytes; the compiler makes two of a double and two ints.
__device__ inline Outcome load(const Outcome* outcome) {
    int4 words = *(const int4*)outcome;
    return {__hiloint2double(words.y, words.x), words.z, words.w};
}

// First row of [lo, hi) whose entry bar is at or after `bar`.
__device__ inline int first_entry(const Row* rows, int lo, int hi, int bar) {
    while (lo < hi) {
        int middle = (lo + hi) / 2;
        if (rows[middle].entry_bar < bar) lo = middle + 1; else hi = middle;
    }
    return lo;
}

// Rows of a table that may be entered in a window: e = r + 1 > t >= start, and e < end.
struct Range {
    int first, after;

    __device__ Range(const Market& market, const Window& window, int table) {
        int lo = (int)market.row_start[table], hi = (int)market.row_start[table + 1];
        first = first_entry(market.rows, lo, hi, window.start + 1);
        after = first_entry(market.rows, first, hi, window.end);
    }
};

// One account through one window (fills rules §9), and the totals from which every metric follows. Daily
// returns are summed as differences from the first of them: squares of the returns themselves would
// cancel where all days are nearly equal.
struct Account {
    double equity = 1.0, peak = 1.0, day_open = 1.0, drawdown = 0.0, won = 0.0, lost = 0.0;
    double shift = 0.0, apart = 0.0, squares = 0.0, downside = 0.0, largest = 0.0;
    int last_exit = -1, blocked = -1, day = -1, streak = 0, days = 0, trades = 0, wins = 0;

    __device__ bool may_enter(const Row& row) const {
        return row.entry_bar > last_exit && row.entry_day > blocked;
    }

    // End the day of the last exit; `daily` (n_days) is written when it is not null.
    __device__ void close_day(double* daily, int first_day) {
        if (day < 0) return;
        double value = equity / day_open - 1.0;
        if (daily) daily[day - first_day] = value;
        if (days == 0) shift = value;
        ++days;
        double difference = value - shift;
        apart += difference;
        squares += difference * difference;
        if (value < 0.0) downside += value * value;
        largest = fmax(largest, fabs(value));
    }

    __device__ void open_day(int next_day, double* daily, int first_day) {
        close_day(daily, first_day);
        day = next_day;
        day_open = equity;
    }

    __device__ void book(double ret, int exit_bar, const Rules& rules) {
        equity *= 1.0 + ret;
        if (equity > peak) peak = equity;
        else if (equity < peak * nearly(1.0 - drawdown)) drawdown = fmax(drawdown, 1.0 - equity / peak);
        ++trades;
        if (ret > 0.0) { ++wins; won += ret; } else { lost -= ret; }
        streak = ret < 0.0 ? streak + 1 : 0;
        bool breaks = streak >= rules.losses_limit;
        if (equity <= day_open * nearly(1.0 - rules.max_daily_loss))
            breaks |= equity / day_open - 1.0 <= -rules.max_daily_loss;
        if (breaks) {
            blocked = day;
            streak = 0;  // fills rules §9: the streak is 0 when the breaker clears
        }
        last_exit = equity > 0.0 ? exit_bar : NEVER;  // fills rules §9.3: ruin
    }
};

// What the window's end makes of a trade that is still open (exits rules §7.2).
__device__ inline Outcome at_end(const Market& market, const Rules& rules, const Window& window, const Row& row) {
    double side = market.entry_side[row.entry];
    double price = window.last_close * (1.0 - side * rules.slippage);
    double funding = window.last_funding - market.entry_funding[row.entry];
    double ret = net_return(rules, side, market.entry_price[row.entry], price, rules.fee_rate, funding,
                            window.end - row.entry_bar);
    return {ret, window.end - 1, window.first_day + window.n_days - 1};
}

// Trade one combination through one window. `rows.next()` gives the rows that pass its thresholds, -1
// after the last; the next one and its outcome are loaded while this one is booked. Threads of a warp
// that have the same rows leave the loop together, and meet again after every row. `daily` (n_days) and
// `taken` (rows) are written when they are not null.
template <class Rows>
__device__ inline Account walk(const Market& market, const Rules& rules, const Window& window, Rows rows,
                               int setting, double* daily, int* taken) {
    Account account;
    Row next_row = {};
    Outcome next_outcome = {};
    const Outcome* outcomes = market.outcomes + setting;
    auto look_ahead = [&](int row) {
        if (row < 0) return;
        next_row = market.rows[row];
        next_outcome = load(outcomes + (long long)next_row.entry * market.n_exits);
    };
    int ahead = rows.next();
    look_ahead(ahead);
    while (ahead >= 0) {
        const int number = ahead;
        const Row row = next_row;
        Outcome outcome = next_outcome;
        ahead = rows.next();
        look_ahead(ahead);
        if (row.setup_bar >= window.start && account.may_enter(row) && outcome.exit_bar >= 0) {
            if (outcome.exit_bar >= window.end) outcome = at_end(market, rules, window, row);
            if (taken) taken[account.trades] = number;
            if (outcome.exit_day != account.day) account.open_day(outcome.exit_day, daily, window.first_day);
            account.book(outcome.ret * rules.exposure, outcome.exit_bar, rules);
        }
    }
    account.close_day(daily, window.first_day);
    return account;
}

// One metric of fills rules §10.
__device__ inline double metric(const Account& a, int n_days, int field) {
    const double year = sqrt(365.0), mean = (a.days * a.shift + a.apart) / n_days;
    const double least = NO_DEVIATION * a.largest;
    switch (field) {
        case NET_PROFIT: return a.equity - 1.0;
        case SHARPE_RATIO: {
            int idle_days = n_days - a.days;
            double apart = a.apart - idle_days * a.shift;
            double squares = a.squares + idle_days * a.shift * a.shift;
            double spread = fmax(squares - apart * apart / n_days, 0.0);  // of one day: 0
            double deviation = sqrt(spread / (n_days > 1 ? n_days - 1 : 1));
            return deviation > least ? mean / deviation * year : 0.0;
        }
        case SORTINO_RATIO: {
            if (!(a.downside > 0.0)) return UNDEFINED;
            double below = n_days > 1 ? sqrt(a.downside / n_days) : 0.0;
            return below > least ? mean / below * year : 0.0;
        }
        case MAX_DRAWDOWN: return a.drawdown;
        case CALMAR_RATIO: {
            if (!(a.drawdown > 0.0)) return UNDEFINED;
            double growth = a.equity > 0.0 ? pow(a.equity, 365.0 / n_days) - 1.0 : -1.0;
            double ratio = growth / a.drawdown;
            return fabs(ratio) < INFINITE ? ratio : UNDEFINED;
        }
        case SAMPLE_SIZE: return a.trades;
        case WIN_RATE: return a.trades > 0 ? (double)a.wins / a.trades : 0.0;
        case AVG_WIN: return a.wins > 0 ? a.won / a.wins : 0.0;
        case AVG_LOSS: return a.trades > a.wins ? -a.lost / (a.trades - a.wins) : 0.0;
        case PROFIT_FACTOR: return a.lost > 0.0 ? a.won / a.lost : UNDEFINED;
        default: return n_days;
    }
}

// Metrics of FIELDS, a bit mask of Field, each `stride` after the one before. Unrolled, so that the walk
// does not sum what no metric of FIELDS needs.
__device__ inline void write_metrics(const Account& account, int n_days, double* result, long long stride) {
#pragma unroll
    for (int field = 0; field < N_FIELDS; ++field)
        if (FIELDS >> field & 1) {
            *result = metric(account, n_days, field);
            result += stride;
        }
}
