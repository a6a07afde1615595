/**
 * Shape of `identity.json`, which several tests share.
 * @module
 */

export interface IdentityVectors {
  identities: (
    & Record<
      | "address"
      | "public"
      | "secret"
      | "x25519_public"
      | "ed25519_public"
      | "x25519_private"
      | "ed25519_seed"
      | "binary_public"
      | "binary_secret"
      | "sha512_of_private_key"
      | "sha384_address_and_public_key"
      | "derivation_digest",
      string
    >
    & { locally_valid: boolean }
  )[];
  derivation_trace:
    & Record<
      | "identity"
      | "public_key"
      | "sha512_of_public_key"
      | "salsa20_20_key"
      | "salsa20_20_iv"
      | "genmem_block_0"
      | "genmem_block_1"
      | "genmem_block_2"
      | "genmem_block_32767"
      | "genmem_sha512_after_fill"
      | "genmem_sha512_final"
      | "final_digest"
      | "address",
      string
    >
    & {
      iterations: number;
      steps: {
        iteration: number;
        word1: string;
        word2: string;
        idx1: number;
        idx2: number;
        digest_after_swap: string;
        digest_after_encrypt: string;
      }[];
    };
  work_function: { input: string; digest: string; meets_threshold: boolean; address: string }[];
  text: {
    name: string;
    string: string;
    parses: boolean;
    locally_valid: boolean;
    parsed_address?: string;
    parsed_has_private?: boolean;
    reserialized?: string;
    digest?: string;
    may_reject?: boolean;
  }[];
  binary: {
    name: string;
    hex: string;
    ok: boolean;
    consumed?: number;
    address?: string;
    has_private?: boolean;
    string?: string;
  }[];
  agreement: (
    & Record<
      | "name"
      | "x25519_private"
      | "x25519_public"
      | "sha512_of_shared_secret"
      | "agreed_key"
      | "kbkdf_0"
      | "kbkdf_1"
      | "aes_k0"
      | "aes_k1",
      string
    >
    & { mine?: string; theirs?: string; theirs_secret?: string }
  )[];
  signatures: {
    identity: string;
    message: string;
    signed_digest: string;
    signature: string;
    valid: boolean;
  }[];
  signature_checks: {
    name: string;
    identity: string;
    message: string;
    signature: string;
    valid: boolean;
    may_reject?: boolean;
  }[];
}
