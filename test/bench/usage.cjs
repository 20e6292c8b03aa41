/** Loaded into a CPI process by the benchmark: when it ends, tells its CPU time and peak memory on file descriptor 3. */
const { readFileSync, writeSync } = require('node:fs');

process.on('exit', () => {
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  writeSync(3, JSON.stringify({ cpuMs: (userCPUTime + systemCPUTime) / 1000, peakKib: peakKib() ?? maxRSS }));
});

/** Linux counts in maxRSS what the parent had when it started this process; VmHWM is this program's alone. */
function peakKib() {
  try {
    const [, peak] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
    return peak === undefined ? undefined : Number(peak);
  } catch {
    return undefined;
  }
}
