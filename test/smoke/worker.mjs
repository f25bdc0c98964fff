import { checks } from './checks.mjs';

/** A Worker that runs the checks and answers with what failed. */
export default {
  async fetch() {
    const failures = [];
    for (const [name, check] of Object.entries(checks)) {
      try {
        await check();
      } catch (error) {
        failures.push(`${name}: ${error?.stack ?? error}`);
      }
    }
    return Response.json({ ran: Object.keys(checks).length, failures });
  },
};
