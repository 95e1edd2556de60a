import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Child, freePort, hasCommand, listening, type Rival } from './rival.ts';

/** nginx serving a static file over TLS 1.3, fetched by curl: no pieces, no hashes. */
export const nginx: Rival = {
  name: 'nginx → curl, TLS 1.3',

  missing: () => (hasCommand('nginx') && hasCommand('curl') ? undefined : 'apt-get install nginx curl'),

  async prepare({ file, folder, pem }) {
    const work = path.join(folder, 'nginx');
    await mkdir(work);
    return {
      async transfer() {
        const port = await freePort();
        const config = path.join(work, 'nginx.conf');
        await writeFile(config, configuration(port, path.dirname(file), work, pem));
        const server = new Child('nginx', ['-p', work, '-c', config, '-e', path.join(work, 'error.log')]);
        const output = path.join(work, 'output');
        try {
          await listening(port);
          const url = `https://127.0.0.1:${port}/${path.basename(file)}`;
          const start = performance.now();
          await new Child('curl', ['-sSk', '--fail', '-o', output, url]).success();
          return (performance.now() - start) / 1000;
        } finally {
          await server.dispose();
          await rm(output, { force: true });
        }
      },
    };
  },
};

function configuration(port: number, root: string, work: string, pem: string): string {
  return `
daemon off; master_process off; pid ${work}/pid; user root;
events {}
http {
  access_log off; sendfile on;
  client_body_temp_path ${work}/body; proxy_temp_path ${work}/proxy; fastcgi_temp_path ${work}/fastcgi;
  uwsgi_temp_path ${work}/uwsgi; scgi_temp_path ${work}/scgi;
  server {
    listen 127.0.0.1:${port} ssl; root ${root};
    ssl_certificate ${pem}; ssl_certificate_key ${pem}; ssl_protocols TLSv1.3;
  }
}
`;
}
