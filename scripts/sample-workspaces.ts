import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

/** Two projects to try Peerwire with: A has something to share, B something that differs. */
export async function writeSampleWorkspaces(folder: string): Promise<{ a: string; b: string }> {
  const a = path.join(folder, 'workspace-A');
  const b = path.join(folder, 'workspace-B');
  await writeFiles(a, {
    'README.md':
      '# Workspace A\n\nRight-click `hello.txt`, `design` or `dataset.bin` and choose **Share with Peers**.\nThen look at the Peerwire view of window B.\n',
    'hello.txt': 'Hello from A.\n',
    'config.json': '{\n  "color": "red",\n  "retries": 3\n}\n',
    'design/overview.md': '# Overview\n\nOne page on how it works.\n',
    'design/diagrams/flow.txt': 'A → B\n',
    'design/.gitignore': 'build/\n',
    'design/build/generated.txt': 'Ignored by Git, so it stays here.\n',
    'dataset.bin': randomBytes(64 << 20),
  });
  await writeFiles(b, {
    'README.md': '# Workspace B\n\nOpen the Peerwire view: what A shares appears there.\n',
    'config.json': '{\n  "color": "blue",\n  "retries": 3\n}\n',
  });
  return { a, b };
}

async function writeFiles(folder: string, files: Readonly<Record<string, string | Buffer>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(folder, name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, content);
  }
}
