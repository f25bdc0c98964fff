/**
 * The one rule, as the design words it, over one flat list: what the three rings must agree with. A group that is at its limit
 * when its turn comes loses the turn, and comes back as the last one when one of its tasks has ended.
 */
export class NaiveLanes<Item> {
  readonly waiting: { item: Item; level: number; group: string }[] = [];
  readonly running = new Map<string, number>();
  readonly #passed = [0, 0, 0];
  readonly #turns: string[][] = [[], [], []];

  constructor(readonly perGroup: number) {}

  push(item: Item, level: number, group: string): void {
    this.waiting.push({ item, level, group });
    this.#lineUp(level, group);
  }

  take(): Item | undefined {
    const levels = [0, 1, 2].filter((level) => this.#next(level) !== undefined);
    const passed = (level: number) => this.#passed[level] as number;
    const [starving] = levels.filter((level) => passed(level) >= 16).sort((a, b) => passed(b) - passed(a));
    const chosen = starving ?? levels[0];
    for (const level of [0, 1, 2])
      this.#passed[level] = levels.includes(level) && level !== chosen ? passed(level) + 1 : 0;
    if (chosen === undefined) return undefined;
    const group = this.#turns[chosen]?.shift() as string;
    const place = this.waiting.findIndex((each) => each.level === chosen && each.group === group);
    const [taken] = this.waiting.splice(place, 1);
    this.running.set(group, (this.running.get(group) ?? 0) + 1);
    this.#lineUp(chosen, group);
    return taken?.item;
  }

  remove(item: Item): void {
    const place = this.waiting.findIndex((each) => each.item === item);
    if (place >= 0) this.waiting.splice(place, 1);
  }

  leave(group: string): void {
    this.running.set(group, (this.running.get(group) ?? 0) - 1);
    for (const level of [0, 1, 2]) this.#lineUp(level, group);
  }

  #mayStart(group: string): boolean {
    return (this.running.get(group) ?? 0) < this.perGroup;
  }

  #lineUp(level: number, group: string): void {
    const hasWork = this.waiting.some((each) => each.level === level && each.group === group);
    if (hasWork && this.#mayStart(group) && !this.#turns[level]?.includes(group)) this.#turns[level]?.push(group);
  }

  #next(level: number): string | undefined {
    const turns = this.#turns[level] as string[];
    const hasWork = (group: string) => this.waiting.some((each) => each.level === level && each.group === group);
    while (turns[0] !== undefined && !(hasWork(turns[0]) && this.#mayStart(turns[0]))) turns.shift();
    return turns[0];
  }
}
