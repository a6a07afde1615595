/**
 * What the service says of itself, a line at a time, and how much of it is wanted.
 * @module
 */

/** What a line is about, the gravest first: what does not work, what may not, what happens, and why. */
export const LOG_LEVELS = ["error", "warn", "info", "debug"] as const;
export type LogLevel = typeof LOG_LEVELS[number];

/** Takes one line; level "info" unless it says otherwise. */
export type Log = (line: string, level?: LogLevel) => void;

/** @returns undefined when there is no such level */
export function parseLogLevel(text: string): LogLevel | undefined {
  return LOG_LEVELS.find((level) => level === text);
}

/** What one may choose, in words. */
export function formatLogLevels(): string {
  return `"error", "warn", "info" or "debug"`;
}

/**
 * A log that passes on what is grave enough.
 * @param level The least grave level wanted, asked for each line: `local.conf` may change
 */
export function logFrom(write: (line: string) => void, level: () => LogLevel): Log {
  return (line, of = "info") => {
    if (LOG_LEVELS.indexOf(of) <= LOG_LEVELS.indexOf(level())) write(line);
  };
}

/** The log for a part that speaks up only when something is wrong: level "warn" unless it says otherwise. */
export function complaintsTo(log: Log): Log {
  return (line, level = "warn") => log(line, level);
}
