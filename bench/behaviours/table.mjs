// The table of a run, for people: text for the terminal, Markdown for the guide.

const label = (name, version) => (version === undefined ? name : `${name} ${version}`);

/** Libraries across, cases down; the long names of the cases below it. */
export function text({ rows, versions, kilobytes, node, date, seconds }) {
  const names = Object.keys(versions);
  const lines = [
    ['', ...names],
    ...rows.map(({ cells }, index) => [`${index + 1}`, ...names.map((name) => cells[name].cell)]),
    ['kB', ...names.map((name) => String(kilobytes[name] ?? '-'))],
  ];
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const table = lines.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column]))
      .join('  ')
      .trimEnd(),
  );
  const legend = rows.map(({ name }, index) => `${String(index + 1).padStart(2)}  ${name}`);
  const libraries = Object.entries(versions).map(([name, version]) => label(name, version));
  return [
    ...table,
    '',
    ...legend,
    '',
    `Node ${node}, ${date.slice(0, 10)}, ${seconds} s: ${libraries.join(', ')}`,
  ].join('\n');
}

export function markdown({ rows, versions, kilobytes, node, date }) {
  const names = Object.keys(versions);
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const counts = names.map((name) => {
    const count = (test) => rows.filter(({ cells }) => test(cells[name].cell)).length;
    return `${count((cell) => cell === 'yes')} / ${count((cell) => cell !== 'yes' && cell !== '-')} / ${count((cell) => cell === '-')}`;
  });
  return [
    `${date.slice(0, 10)}, Node ${node.slice(1)}.`,
    '',
    line(['', ...names.map((name) => label(name, versions[name]))]),
    line(['---', ...names.map(() => '---')]),
    ...rows.map(({ name, cells }) => line([name, ...names.map((library) => cells[library].cell)])),
    line(['**yes / something else / not offered**', ...counts]),
    line(['kB in a bundle, min + gzip', ...names.map((name) => kilobytes[name] ?? '-')]),
    '',
  ].join('\n');
}
