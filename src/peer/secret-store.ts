/** Where private keys and network secrets live: SecretStorage in an editor, a 0600 file on the command line. */
export interface SecretStore {
  get(key: string): Promise<string | undefined>;
  set(key: string, value: string): Promise<void>;
  delete(key: string): Promise<void>;
}
