// What the kernels share: records as they lie in device memory, and the walk of one combination.
//
// Compiled by NVRTC or nvcc with --fmad=false, so that a comparison at a threshold decides as it does
// on a CPU; where there is no device, the tests run their PTX on the CPU (tests/support/ptx).
// N_THRESHOLDS and MAX_AXES are compile-time options (gpu_engine/device.py).
// All arithmetic is float64.
#pragma once

// A deviation of daily returns at or below this part of the largest is rounding (gpu_engine/metrics.py).
#define NO_DEVIATION 1e-12

#define UNDEFINED __longlong_as_double(0x7ff8000000000000LL)

// Exit reasons, in the order in which they are tried (exits rules §5); records.REASONS.
enum Reason { STOP_GAP, TARGET_GAP, SIGNAL, STOP, TARGET, TIME, END };

// Fields of records.METRICS, in order.
enum Field {
    NET_PROFIT, SHARPE_RATIO, SORTINO_RATIO, MAX_DRAWDOWN, CALMAR_RATIO, SAMPLE_SIZE,
    WIN_RATE, AVG_WIN, AVG_LOSS, PROFIT_FACTOR, N_DAYS, N_FIELDS
};

// What the walk reads of an outcome: 16 bytes, one load. The exit's day saves a dependent look-up.
struct Outcome {
    double ret;
    int exit_bar;
    int exit_day;
};

// What the walk reads of an event row: 16 bytes, one load.
struct Row {
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
};

// Costs and limits (fills rules §6, §9); max_daily_loss is +inf and losses_limit 0 when switched off.
struct Rules {
    double fee_rate;
    double slippage;
    double fraction;
    double max_daily_loss;
    int losses_limit;
    int max_holding_bars;
};

// The market on the device: rows of all tables one after another, outcomes entry by exit setting.
struct Market {
    const long long* row_start;
    const Row* rows;
    const double* features;  // N_THRESHOLDS columns of n_rows, multiplied by the sense
    const Outcome* outcomes; // outcomes[entry * n_exits + setting]
    const signed char* entry_side;
    const double* entry_price;
    long long n_rows;
    int n_exits;
};

struct Combination {
    int table;
    int setting;
    double thresholds[N_THRESHOLDS > 0 ? N_THRESHOLDS : 1];  // C++ has no empty arrays
};

__device__ inline double net_return(double side, double entry, double price, double fee_rate) {
    return side * (price - entry) / entry - (fee_rate + fee_rate * price / entry);  // exits rules §6
}

__device__ inline bool passes(const Market& market, long long row, const Combination& c) {
    for (int k = 0; k < N_THRESHOLDS; ++k)
        if (!(market.features[k * market.n_rows + row] >= c.thresholds[k])) return false;  // NaN fails
    return true;
}

// First row of [lo, hi) whose entry bar is at or after `bar`.
__device__ inline long long first_entry(const Row* rows, long long lo, long long hi, int bar) {
    while (lo < hi) {
        long long middle = (lo + hi) / 2;
        if (rows[middle].entry_bar < bar) lo = middle + 1; else hi = middle;
    }
    return lo;
}

// Totals of a walk, from which every metric follows. Daily returns are summed as differences from the
// first of them: squares of the returns themselves would cancel where all days are nearly equal.
struct Walk {
    double equity, drawdown, shift, apart, apart_squares, downside_squares, won, lost, largest;
    int traded_days, trades, wins;

    __device__ void close_day(double day_return) {
        if (traded_days == 0) shift = day_return;
        ++traded_days;
        double difference = day_return - shift;
        apart += difference;
        apart_squares += difference * difference;
        if (day_return < 0.0) downside_squares += day_return * day_return;
        if (fabs(day_return) > largest) largest = fabs(day_return);
    }
};

// Trade one combination through one window (fills rules §6, §8, §9). `daily` (n_days) and `taken` (rows) are
// written when they are not null.
__device__ inline Walk walk(const Market& market, const Rules& rules, const Window& window,
                            const Combination& c, double* daily, int* taken) {
    Walk w = {1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0, 0};
    double peak = 1.0, day_open = 1.0;
    int last_exit = -1, blocked_day = -1, current_day = -1, streak = 0;
    long long lo = market.row_start[c.table], hi = market.row_start[c.table + 1];
    lo = first_entry(market.rows, lo, hi, window.start + 1);  // e = r + 1, r >= t >= start
    hi = first_entry(market.rows, lo, hi, window.end);
    for (long long row = lo; row < hi; ++row) {
        if (!passes(market, row, c)) continue;
        const Row event = market.rows[row];
        if (event.entry_bar <= last_exit || event.setup_bar < window.start ||
            event.entry_day <= blocked_day)
            continue;
        const Outcome outcome = market.outcomes[(long long)event.entry * market.n_exits + c.setting];
        if (outcome.exit_bar < 0) continue;  // exits rules §3
        int exit_bar = outcome.exit_bar, exit_day = outcome.exit_day;
        double ret = outcome.ret;
        if (exit_bar >= window.end) {  // §8: an outcome beyond the window becomes §7.6
            exit_bar = window.end - 1;
            exit_day = window.first_day + window.n_days - 1;
            double side = market.entry_side[event.entry];
            double price = window.last_close * (1.0 - side * rules.slippage);
            ret = net_return(side, market.entry_price[event.entry], price, rules.fee_rate);
        }
        ret *= rules.fraction;
        last_exit = exit_bar;
        if (taken) taken[w.trades] = (int)row;

        if (exit_day != current_day) {
            if (current_day >= 0) w.close_day(w.equity / day_open - 1.0);
            current_day = exit_day;
            day_open = w.equity;
        }
        w.equity *= 1.0 + ret;
        double day_return = w.equity / day_open - 1.0;
        if (daily) daily[current_day - window.first_day] = day_return;
        if (w.equity > peak) peak = w.equity;
        double down = 1.0 - w.equity / peak;
        if (down > w.drawdown) w.drawdown = down;

        ++w.trades;
        if (ret > 0.0) { ++w.wins; w.won += ret; } else { w.lost -= ret; }
        streak = ret < 0.0 ? streak + 1 : 0;
        if (day_return <= -rules.max_daily_loss ||
            (rules.losses_limit > 0 && streak >= rules.losses_limit)) {
            blocked_day = current_day;
            streak = 0;  // §9: the streak is 0 when the breaker clears
        }
        if (w.equity <= 0.0) break;  // §9: ruin
    }
    if (current_day >= 0) w.close_day(w.equity / day_open - 1.0);
    return w;
}

// One metric of fills rules §10.
__device__ inline double metric(const Walk& w, int n_days, int field) {
    const double year = sqrt(365.0), mean = (w.traded_days * w.shift + w.apart) / n_days;
    switch (field) {
        case NET_PROFIT: return w.equity - 1.0;
        case SHARPE_RATIO: {
            int idle_days = n_days - w.traded_days;
            double apart = w.apart - idle_days * w.shift;
            double squares = w.apart_squares + idle_days * w.shift * w.shift;
            double spread = fmax(squares - apart * apart / n_days, 0.0);  // of one day: 0
            double deviation = sqrt(spread / (n_days > 1 ? n_days - 1 : 1));
            return deviation > NO_DEVIATION * w.largest ? mean / deviation * year : 0.0;
        }
        case SORTINO_RATIO: {
            if (!(w.downside_squares > 0.0)) return UNDEFINED;
            double downside = n_days > 1 ? sqrt(w.downside_squares / n_days) : 0.0;
            return downside > NO_DEVIATION * w.largest ? mean / downside * year : 0.0;
        }
        case MAX_DRAWDOWN: return w.drawdown;
        case CALMAR_RATIO: {
            if (!(w.drawdown > 0.0)) return UNDEFINED;
            double growth = w.equity > 0.0 ? pow(w.equity, 365.0 / n_days) - 1.0 : -1.0;
            double ratio = growth / w.drawdown;
            return ratio - ratio == 0.0 ? ratio : UNDEFINED;
        }
        case SAMPLE_SIZE: return w.trades;
        case WIN_RATE: return w.trades > 0 ? (double)w.wins / w.trades : 0.0;
        case AVG_WIN: return w.wins > 0 ? w.won / w.wins : 0.0;
        case AVG_LOSS: return w.trades > w.wins ? -w.lost / (w.trades - w.wins) : 0.0;
        case PROFIT_FACTOR: return w.lost > 0.0 ? w.won / w.lost : UNDEFINED;
        default: return n_days;
    }
}
