// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

// Tokens as they are met on real chains: one contract for each way in which metadata goes wrong, and a few that are
// well. Compiled by `scripts/chainlab compile` into odd_tokens.json, so that no test needs a compiler.

// Well behaved. Facts are given at birth, so one contract plays USDC, WETH and everything else.
contract Plain {
    string public name;
    string public symbol;
    uint8 public decimals;
    uint256 public totalSupply;

    constructor(string memory name_, string memory symbol_, uint8 decimals_) {
        (name, symbol, decimals, totalSupply) = (name_, symbol_, decimals_, 1e24);
    }
}

// Like Plain, but anybody may rename it: a rebranded token.
contract Changing {
    string public name = "Before";
    string public symbol = "BEF";
    uint8 public decimals = 18;

    function rename(string calldata name_, string calldata symbol_) external {
        (name, symbol) = (name_, symbol_);
    }
}

// Name and symbol as bytes32, decimals as uint256: the first tokens of 2017.
contract Words {
    bytes32 public name = "Words Token";
    bytes32 public symbol = "WRD";
    uint256 public decimals = 18;
}

// symbol() reverts with a reason, name() with a panic; decimals() is fine.
contract Refuses {
    uint8 public decimals = 6;

    function symbol() external pure returns (string memory) {
        revert("no symbol");
    }

    function name() external pure returns (string memory) {
        assert(false);
        return "";
    }
}

// No metadata at all and no fallback: every question reverts with empty data.
contract Silent {
    mapping(address => uint256) public balanceOf;
}

// Every call succeeds with no data, as with a proxy whose target is gone.
contract Hollow {
    fallback() external {}
}

// Decimals beyond any sense.
contract Vast {
    string public name = "Vast Decimals";
    string public symbol = "VAST";
    uint256 public decimals = 1000;
}

// Announces a string of 2**256 - 1 bytes and sends none; name() points outside of its own answer.
contract Liar {
    uint8 public decimals = 18;

    function symbol() external pure {
        assembly {
            mstore(0, 0x20)
            mstore(0x20, not(0))
            return(0, 0x40)
        }
    }

    function name() external pure {
        assembly {
            mstore(0, not(0))
            return(0, 0x20)
        }
    }
}

// symbol() returns two million bytes: a return bomb.
contract Flood {
    string public name = "Flood";
    uint8 public decimals = 18;

    function symbol() external pure {
        assembly {
            mstore(0, 0x20)
            mstore(0x20, 2000000)
            return(0, 2000064)
        }
    }
}

// symbol() burns all the gas it is given.
contract Endless {
    string public name = "Endless";
    uint8 public decimals = 18;

    function symbol() external pure returns (string memory) {
        for (uint256 i = 0; ; ) {
            unchecked {
                i += 1;
            }
        }
    }
}

// symbol() answers, but only after a million gas: more than a multicall grants, less than a question alone gets.
contract Heavy {
    string public name = "Heavy";
    uint8 public decimals = 18;

    function symbol() external pure returns (string memory) {
        for (uint256 i = 0; i < 24000; ) {
            unchecked {
                i += 1;
            }
        }
        return "HEAVY";
    }
}

// A NUL and a newline, which a text column or a log line would choke on.
contract Nul {
    string public name = "Nul\x00Byte";
    string public symbol = "N\x00UL\n";
    uint8 public decimals = 18;
}

// Zero-width and direction marks: looks like USDC and is not.
contract Invisible {
    string public name = unicode"USD\u200b Coin";
    string public symbol = unicode"US\u200bD\u202eC";
    uint8 public decimals = 6;
}

// Bytes that are no UTF-8.
contract Broken {
    uint8 public decimals = 18;

    function name() external pure returns (bytes memory) {
        return hex"4272c3286f6b656e";
    }

    function symbol() external pure returns (bytes memory) {
        return hex"ff00fe41";
    }
}
